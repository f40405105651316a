{{- define "chaos.namespace" -}}
{{ required "namespace.name: say where everything goes" .Values.namespace.name }}
{{- end }}

{{- define "chaos.labels" -}}
app.kubernetes.io/part-of: chaos
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "chaos.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Where a probe asks: the loopback, or with a ServiceMonitor the pod's address, which is the node's. */}}
{{- define "chaos.probe" -}}
{{- if not .Values.metrics.serviceMonitor.enabled }}
host: 127.0.0.1
{{- end }}
port: {{ .Values.ports.metrics }}
{{- end }}
