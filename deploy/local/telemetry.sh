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

# Whoever may open it sees job names, logs and addresses, so that it asks for the token that up prints; programs for another.
start_telemetry() {
  require_sdk
  [ -d "$(telemetry_folder)" ] \
    || quietly "fetching the Aspire dashboard" dotnet restore "$root/deploy/local/telemetry/Telemetry.csproj" -v quiet
  make_token "$state/telemetry-token"
  make_token "$state/otlp-key"
  start_service telemetry Telemetry \
    "ASPNETCORE_URLS=http://127.0.0.1:$telemetry_port" "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL=http://127.0.0.1:$otlp_port" \
    "DASHBOARD__FRONTEND__AUTHMODE=BrowserToken" "DASHBOARD__FRONTEND__BROWSERTOKEN=$(cat "$state/telemetry-token")" \
    "DASHBOARD__OTLP__AUTHMODE=ApiKey" "DASHBOARD__OTLP__PRIMARYAPIKEY=$(cat "$state/otlp-key")"
  wait_for "the Aspire dashboard" telemetry bash -c "exec 3<>/dev/tcp/127.0.0.1/$otlp_port"
  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$otlp_port OTEL_EXPORTER_OTLP_PROTOCOL=grpc
  OTEL_EXPORTER_OTLP_HEADERS=x-otlp-api-key=$(cat "$state/otlp-key")
  export OTEL_EXPORTER_OTLP_HEADERS
  say "telemetry: http://127.0.0.1:$telemetry_port/login?t=$(cat "$state/telemetry-token") (what ran before sends none)"
}
