# The Aspire dashboard, from its NuGet package: traces, metrics and logs of everything that up starts, in a browser.
telemetry_port=${CLUSTER_TELEMETRY_PORT:-18888} # of its pages
otlp_port=${CLUSTER_OTLP_PORT:-18889}
telemetry_package=aspire.dashboard.sdk.linux-x64

telemetry_program() { printf '%s' "$(telemetry_folder)/tools/Aspire.Dashboard"; }

telemetry_folder() {
  local packages version
  packages=$(dotnet nuget locals global-packages --list | sed 's/^global-packages: //; s:/$::')
  version=$(sed -n 's/.*PackageDownload .*Version="\[\(.*\)\]".*/\1/p' "$root/deploy/local/telemetry/Telemetry.csproj")
  printf '%s' "$packages/$telemetry_package/$version"
}

# Whoever may open it sees job names, logs and addresses, so that it asks people for a token, and programs for another. Its own link has
# the token in the address, which browsers keep in their history and hand on: it is in a file, and neither printed nor logged.
start_telemetry() {
  require_sdk
  [ -d "$(telemetry_folder)" ] \
    || quietly "fetching the Aspire dashboard" dotnet restore "$root/deploy/local/telemetry/Telemetry.csproj" -v quiet
  make_token "$state/telemetry-token"
  make_token "$state/otlp-key"
  write_telemetry_settings "$state/telemetry.json"
  start_service telemetry Telemetry \
    "ASPNETCORE_URLS=http://127.0.0.1:$telemetry_port" "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL=http://127.0.0.1:$otlp_port" \
    "ASPIRE_DASHBOARD_CONFIG_FILE_PATH=$state/telemetry.json"
  wait_for "the Aspire dashboard" telemetry bash -c "exec 3<>/dev/tcp/127.0.0.1/$otlp_port"
  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp_port OTEL_EXPORTER_OTLP_PROTOCOL=grpc
  OTEL_EXPORTER_OTLP_HEADERS=x-otlp-api-key=$(cat "$state/otlp-key")
  export OTEL_EXPORTER_OTLP_HEADERS
  say "telemetry: http://127.0.0.1:$telemetry_port, which asks for the token in $state/telemetry-token (what ran before sends none)"
}

# In a file that only its user reads: what programs are started with others see. It also keeps Aspire's link out of Aspire's log.
write_telemetry_settings() {
  (umask 077 && cat >"$1" <<EOF
{
  "Dashboard": {
    "Frontend": { "AuthMode": "BrowserToken", "BrowserToken": "$(cat "$state/telemetry-token")" },
    "Otlp": { "AuthMode": "ApiKey", "PrimaryApiKey": "$(cat "$state/otlp-key")" }
  },
  "Logging": { "LogLevel": { "Aspire.Dashboard": "Warning" } }
}
EOF
  )
}
