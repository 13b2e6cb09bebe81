"use strict";
// Shows openapi.json, which lies beside this page. No library, nothing from elsewhere.

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// Words with `code` in them.
function words(text) {
  return (text || "").split("`").map((part, index) => index % 2 ? make("code", {}, part) : part);
}

function pretty(value) {
  return typeof value === "string" ? value : JSON.stringify(value, null, 2);
}

function kind(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(kind).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return kind(schema.items || {}) + "[]";
  return [schema.type, schema.format && "(" + schema.format + ")"].filter(Boolean).join(" ") || "any";
}

function limits(schema) {
  const names = ["minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "default"];
  return names.filter((name) => schema[name] !== undefined).map((name) => name + " " + JSON.stringify(schema[name])).join(", ");
}

function fieldsOf(reference, schemas, seen) {
  const name = reference.split("/").pop();
  const schema = schemas[name];
  if (!schema || seen.has(name)) return [];
  seen.add(name);
  const required = new Set(schema.required || []);
  const rows = Object.entries(schema.properties || {}).map(([field, shape]) => make("tr", {},
    make("td", {}, make("code", {}, field + (required.has(field) ? "" : "?"))),
    make("td", {}, kind(shape)),
    make("td", {}, ...words([shape.description, limits(shape)].filter(Boolean).join(" — ")))));
  const nested = JSON.stringify(schema.properties || {}).match(/#\/components\/schemas\/[\w.]+/g) || [];
  const about = schema.description ? [make("p", {}, ...words(schema.description))] : [];
  return [make("h4", {}, name), ...about, make("table", {}, ...rows),
    ...nested.flatMap((inner) => fieldsOf(inner, schemas, seen))];
}

function parameters(list) {
  if (!list || !list.length) return [];
  const rows = list.map((parameter) => make("tr", {},
    make("td", {}, make("code", {}, parameter.name + (parameter.required ? "" : "?"))),
    make("td", {}, parameter.in + ": " + kind(parameter.schema)),
    make("td", {}, ...words([parameter.description, limits(parameter.schema)].filter(Boolean).join(" — ")))));
  return [make("h4", {}, "Parameters"), make("table", {}, ...rows)];
}

function exampleNames(operation) {
  const names = new Set();
  for (const response of Object.values(operation.responses)) {
    for (const content of Object.values(response.content || {})) Object.keys(content.examples || {}).forEach((name) => names.add(name));
  }
  for (const content of Object.values((operation.requestBody || {}).content || {})) {
    Object.keys(content.examples || {}).forEach((name) => names.add(name));
  }
  return [...names];
}

function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function curl(method, path, operation, name) {
  let url = path;
  const query = [];
  const lines = [];
  if (operation.security.length) lines.push("-H " + quoted("Authorization: Bearer $TOKEN").replaceAll("'", '"'));
  for (const parameter of operation.parameters || []) {
    const example = (parameter.examples || {})[name];
    if (!example) continue;
    if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", example.value);
    else if (parameter.in === "query") query.push(parameter.name + "=" + encodeURIComponent(example.value));
    else lines.push("-H " + quoted(parameter.name + ": " + example.value));
  }
  const [media, content] = Object.entries((operation.requestBody || {}).content || {})[0] || [];
  const body = content && (content.examples || {})[name];
  if (body) lines.push("-H " + quoted("Content-Type: " + media), "--data-binary " + quoted(typeof body.value === "string" ? body.value : JSON.stringify(body.value)));
  const target = location.origin + url + (query.length ? "?" + query.join("&") : "");
  return ["curl -X " + method + " " + quoted(target), ...lines].join(" \\\n  ");
}

function answers(operation, name) {
  const found = [];
  for (const [status, response] of Object.entries(operation.responses)) {
    for (const content of Object.values(response.content || {})) {
      const example = (content.examples || {})[name];
      if (example) found.push(make("p", {}, "Answer " + status), make("pre", {}, pretty(example.value)));
    }
  }
  return found;
}

function operationBox(method, path, operation, schemas) {
  const inside = make("div", {});
  const box = make("details", { id: operation.operationId },
    make("summary", {}, make("span", { class: "method" }, method), make("span", { class: "path" }, path), make("span", { class: "words" }, ...words(operation.summary))),
    inside);
  box.addEventListener("toggle", () => {
    if (!box.open || inside.childElementCount) return;
    const body = Object.values((operation.requestBody || {}).content || {})[0];
    const success = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
    const answer = success && Object.values(success[1].content || {})[0];
    inside.append(
      make("p", { class: "roles" }, operation.security.length ? "For: " + operation["x-roles"].join(", ") : "For everybody, without a token"),
      operation.description ? make("p", {}, ...words(operation.description)) : "",
      ...parameters(operation.parameters),
      ...(body && body.schema.$ref ? [make("h3", {}, "Request"), ...fieldsOf(body.schema.$ref, schemas, new Set())] : []),
      ...(answer && answer.schema.$ref ? [make("h3", {}, "Answer"), ...fieldsOf(answer.schema.$ref, schemas, new Set())] : []),
      make("h3", {}, "Examples"),
      ...exampleNames(operation).flatMap((name) => [make("h4", {}, name), make("pre", {}, curl(method, path, operation, name)), ...answers(operation, name)]));
  });
  return box;
}

function show(description) {
  const main = document.getElementById("operations");
  const groups = new Map();
  document.getElementById("about").append(...words(description.info.description));
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(operationBox(method.toUpperCase(), path, operation, description.components.schemas));
    }
  }
  main.replaceChildren(...[...groups].map(([tag, boxes]) => make("section", {}, make("h2", {}, tag), ...boxes)));
  openWanted();
}

function openWanted() {
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted) { wanted.open = true; wanted.scrollIntoView(); }
}

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const section of document.querySelectorAll("section")) {
    const boxes = [...section.querySelectorAll("details")];
    for (const box of boxes) box.hidden = !box.querySelector("summary").textContent.toLowerCase().includes(wanted);
    section.hidden = boxes.every((box) => box.hidden);
  }
});

window.addEventListener("hashchange", openWanted);

fetch("openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => { document.getElementById("operations").textContent = "openapi.json could not be read: " + error; });
