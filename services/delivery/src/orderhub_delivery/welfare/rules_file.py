"""Reads the rule files into a RuleSet. Whatever is unclear in a file stops the start with one line that names it."""

from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec
from orderhub_contracts.countries import COUNTRIES

from orderhub_delivery.welfare.model import (
    LIFE_STAGES,
    Check,
    Confidence,
    Rule,
    RuleFileError,
    RuleSet,
    Severity,
    SpeciesRule,
)
from orderhub_delivery.welfare.predicates import PREDICATES, in_base_unit
from orderhub_delivery.welfare.records import content_hash

ENGINE = 1
"""Part of the hash: raise it when new code judges the same files differently."""
_RESERVED = "DATA-"

_Territories = Mapping[str, frozenset[str]]
_Lineages = Mapping[str, frozenset[str]]


class RuleFile(msgspec.Struct, forbid_unknown_fields=True):
    jurisdictions: dict[str, str] = {}
    groups: dict[str, str] = {}
    species: dict[str, str] = {}
    rules: list[dict[str, Any]] = []


_Files = list[tuple[str, RuleFile]]


def load_rules(extra: Iterable[Path] = ()) -> RuleSet:
    """The rules that come with the service and those of `extra` files, which may hold any of the same tables."""
    shipped = (resources.files("orderhub_delivery") / "rules").iterdir()
    documents = sorted((file.name, file.read_bytes()) for file in shipped if file.name.endswith(".toml"))
    return build_rule_set(documents + [(path.name, _read(path)) for path in extra])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RuleFileError(f"{path.name}: cannot be read: {error.strerror}") from error


def build_rule_set(documents: Iterable[tuple[str, bytes]]) -> RuleSet:
    """Merges named TOML documents; the order of documents, tables and rules makes no difference."""
    files = [(name, _decode(name, document)) for name, document in documents]
    territories = _territories(files)
    groups = _merged(files, "groups")
    lineages = {group: _lineage(f"group {group}", group, groups) for group in groups}
    species = {
        slug: _lineage(f"species {slug}", group, groups) for slug, group in _merged(files, "species").items()
    }
    rules = _rules(files, territories, species, lineages)
    content = {"engine": ENGINE, "rules": rules, "species": species, "territories": territories}
    return RuleSet(
        hash=content_hash(content),
        rules=rules,
        by_species={slug: _fitting(slug, lineage, rules, territories) for slug, lineage in species.items()},
    )


def _decode(name: str, document: bytes) -> RuleFile:
    try:
        return msgspec.toml.decode(document, type=RuleFile)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RuleFileError(f"{name}: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    return str(error).replace("`$.", "`")


def _merged(files: _Files, table: Literal["jurisdictions", "groups", "species"]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for name, file in files:
        for key, value in getattr(file, table).items():
            if key in merged:
                raise RuleFileError(f"{name}: {table} `{key}`: duplicate")
            merged[key] = value
    return merged


def _territories(files: _Files) -> _Territories:
    """What may stand as a rule's jurisdiction, each with its countries; a country is one of its own."""
    territories = {code: frozenset({code}) for code in COUNTRIES}
    for name, codes in _merged(files, "jurisdictions").items():
        territories[name] = frozenset(codes.split())
        if unknown := sorted(territories[name] - COUNTRIES):
            raise RuleFileError(f"jurisdiction {name}: unknown country {unknown[0]!r}")
    return territories


def _lineage(entry: str, group: str, parents: Mapping[str, str]) -> frozenset[str]:
    """A group with all that it lies in."""
    found: set[str] = set()
    while group:
        if group not in parents:
            raise RuleFileError(f"{entry}: unknown group {group!r}")
        if group in found:
            raise RuleFileError(f"{entry}: group {group!r} lies in itself")
        found.add(group)
        group = parents[group]
    return frozenset(found)


def _rules(
    files: _Files, territories: _Territories, species: _Lineages, groups: _Lineages
) -> tuple[Rule, ...]:
    rules: dict[str, Rule] = {}
    for name, file in files:
        for number, row in enumerate(file.rules, start=1):
            entry = f"{name}: rule {row.get('id', f'number {number}')}"
            rule = _rule(entry, row, territories, species, groups)
            if rule.id in rules:
                raise RuleFileError(f"{entry}: field `id`: duplicate")
            rules[rule.id] = rule
    return tuple(rules[rule_id] for rule_id in sorted(rules))


def _rule(
    entry: str, row: dict[str, Any], territories: _Territories, species: _Lineages, groups: _Lineages
) -> Rule:
    try:
        rule = msgspec.convert(row, Rule)
    except msgspec.ValidationError as error:
        raise RuleFileError(f"{entry}: {_plain(error)}") from error
    if rule.id.startswith(_RESERVED):
        raise RuleFileError(f"{entry}: field `id`: {_RESERVED} is kept for findings of the engine itself")
    if rule.confidence is Confidence.KNOWN and rule.severity is Severity.BLOCK:
        raise RuleFileError(
            f"{entry}: field `severity`: a rule of confidence K (text not read) may only warn"
        )
    if rule.valid_to is not None and rule.valid_to < rule.valid_from:
        raise RuleFileError(f"{entry}: field `valid_to`: lies before valid_from")
    _known(entry, "jurisdictions", rule.jurisdictions, territories)
    checks = tuple(_check(entry, check, species, groups) for check in rule.checks)
    return msgspec.structs.replace(rule, checks=checks)


def _known(entry: str, name: str, values: Iterable[str], known: Collection[str]) -> None:
    for value in values:
        if value not in known:
            raise RuleFileError(f"{entry}: field `{name}`: unknown value {value!r}")


def _check(entry: str, check: Check, species: _Lineages, groups: _Lineages) -> Check:
    _known(entry, "predicate", [check.predicate], PREDICATES)
    _known(entry, "groups", check.groups, groups)
    _known(entry, "species", check.species, species)
    _known(entry, "life_stages", check.life_stages, LIFE_STAGES)
    if not (check.groups or check.species):
        raise RuleFileError(f"{entry}: field `groups`: a check must name groups or species")
    predicate = PREDICATES[check.predicate]
    bounds = [bound for bound in (check.min, check.max) if bound is not None]
    if not predicate.units:
        if bounds or check.unit:
            raise RuleFileError(f"{entry}: field `min`: {check.predicate} takes no bound and no unit")
        return check
    _known(entry, "unit", [check.unit], predicate.units)
    if not bounds or bounds != sorted(bounds):
        raise RuleFileError(
            f"{entry}: field `min`: {check.predicate} needs min or max, and min not above max"
        )
    low, high = (in_base_unit(predicate, bound, check.unit) for bound in (check.min, check.max))
    return msgspec.structs.replace(check, min=low, max=high, unit=predicate.unit)


def _fitting(
    slug: str, lineage: frozenset[str], rules: tuple[Rule, ...], territories: _Territories
) -> tuple[SpeciesRule, ...]:
    fitting = []
    for rule in rules:
        checks = tuple(c for c in rule.checks if slug in c.species or not lineage.isdisjoint(c.groups))
        if checks:
            fitting.append(SpeciesRule(rule, checks, _reach(rule, territories)))
    return tuple(fitting)


def _reach(rule: Rule, territories: _Territories) -> dict[str, tuple[str, ...]]:
    reach: dict[str, tuple[str, ...]] = {}
    for name in rule.jurisdictions:
        for country in territories[name]:
            reach[country] = (*reach.get(country, ()), name)
    return reach
