{{/* The release's name, short enough that a service's name still fits behind it. */}}
{{- define "orderhub.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What never changes of a release: selectors may use nothing else. */}}
{{- define "orderhub.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "orderhub.labels" -}}
{{ include "orderhub.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* (dict "root" $ "image" "orders") */}}
{{- define "orderhub.image" -}}
{{- $image := .root.Values.image -}}
{{- $path := printf "%s/%s:%s" $image.repository .image ($image.tag | default .root.Chart.AppVersion) -}}
{{- if $image.registry }}{{ printf "%s/%s" $image.registry $path }}{{ else }}{{ $path }}{{ end -}}
{{- end -}}

{{- define "orderhub.secret" -}}
{{- required "secrets.existingSecret: name the Secret that holds URLs and keys (see deploy/README.md)" .Values.secrets.existingSecret -}}
{{- end -}}

{{/* Every service with the defaults under it, as a map of those that are enabled, in JSON. */}}
{{- define "orderhub.services" -}}
{{- $found := dict -}}
{{- range $name, $own := .Values.services -}}
{{- $all := mergeOverwrite (deepCopy $.Values.defaults) (deepCopy $own) -}}
{{- if $all.enabled -}}{{- $_ := set $found $name $all -}}{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* The door of gateway and simulator is also where their probes and metrics are. */}}
{{- define "orderhub.probePort" -}}
{{- if has . (list "gateway" "simulator") }}http{{ else }}health{{ end -}}
{{- end -}}

{{- define "orderhub.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "orderhub.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Seconds before a stop in which the pod is taken off all lists of addresses. */}}
{{- define "orderhub.drain" -}}5{{- end -}}

{{/* Where certificates of one's own lie, in every pod and job. */}}
{{- define "orderhub.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.secrets.certificates }}
- {name: certificates, mountPath: /etc/orderhub/certificates, readOnly: true}
{{- end }}
{{- end -}}

{{- define "orderhub.volumes" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: 64Mi}
{{- with .Values.secrets.certificates }}
- name: certificates
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* Where names are looked up; by what kind of server, the cluster decides. */}}
{{- define "orderhub.namesEgress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}
