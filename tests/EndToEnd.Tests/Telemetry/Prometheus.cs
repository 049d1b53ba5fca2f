using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Cluster.Tests.Shared;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Cluster.EndToEnd.Tests.Telemetry;

/// <summary>
/// Debian's Prometheus with the configuration and alert rules of deploy/telemetry, which scrapes a collector each second instead of each
/// quarter of a minute.
/// </summary>
internal sealed class Prometheus : IAsyncDisposable
{
    public const string Program = "/usr/bin/prometheus";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("prometheus-");
    private readonly WebApplication _page;
    private readonly HttpClient _http = new() { BaseAddress = new Uri($"http://127.0.0.1:{FreePorts.Take()}") };
    private readonly DateTimeOffset _start = DateTimeOffset.UtcNow;
    private Process? _process;

    private Prometheus(WebApplication page) => _page = page;

    public static async Task<Prometheus> StartAsync(Collector collector, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var page = builder.Build();
        page.MapGet("/metrics", () => Results.Text(
            OpenMetrics.Write(collector.Metrics.Select(sent => (sent.Key, sent.Value))), OpenMetrics.ContentType));
        await page.StartAsync(cancellationToken);
        var prometheus = new Prometheus(page);
        prometheus.Launch();
        return prometheus;
    }

    /// <summary>Values of all series that a query gives, at each second since the start; none that is no number.</summary>
    public async Task<IReadOnlyList<double>> QueryAsync(string query, CancellationToken cancellationToken)
    {
        var result = await AskAsync("query_range", [("query", query), .. Since(), ("step", "1")], cancellationToken);
        return
        [
            .. result["result"]!.AsArray().SelectMany(series => series!["values"]!.AsArray())
                .Select(value => double.Parse((string)value![1]!, CultureInfo.InvariantCulture)).Where(value => !double.IsNaN(value)),
        ];
    }

    public async Task<IReadOnlyList<(string TraceId, string SpanId)>> ExemplarsAsync(string query, CancellationToken cancellationToken)
    {
        var result = await AskAsync("query_exemplars", [("query", query), .. Since()], cancellationToken);
        return
        [
            .. result.AsArray().SelectMany(series => series!["exemplars"]!.AsArray()).Select(exemplar => exemplar!["labels"]!)
                .Select(labels => ((string)labels["trace_id"]!, (string)labels["span_id"]!)),
        ];
    }

    public async Task<IReadOnlyList<string>> LabelValuesAsync(string series, string label, CancellationToken cancellationToken) =>
        [.. (await AskAsync($"label/{label}/values", [("match[]", series)], cancellationToken)).AsArray().Select(value => (string)value!)];

    /// <summary>Of the alerts: name, health, and the labels of each that fires.</summary>
    public async Task<IReadOnlyList<(string Name, string Health, IReadOnlyList<JsonNode> Firing)>> AlertsAsync(
        CancellationToken cancellationToken)
    {
        var rules = (await AskAsync("rules", [], cancellationToken))["groups"]!.AsArray().SelectMany(group => group!["rules"]!.AsArray());
        return
        [
            .. rules.Select(rule => ((string)rule!["name"]!, (string)rule["health"]!, (IReadOnlyList<JsonNode>)
                [.. rule["alerts"]!.AsArray().Where(alert => (string)alert!["state"]! == "firing").Select(alert => alert!["labels"]!)])),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _http.Dispose();
        await _page.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private void Launch()
    {
        var telemetry = Path.Combine(Shell.Root, "deploy", "telemetry");
        File.Copy(Path.Combine(telemetry, "alerts.yaml"), Path.Combine(_folder.FullName, "alerts.yaml"));
        var configuration = File.ReadAllText(Path.Combine(telemetry, "prometheus.yaml"));
        (string Deployed, string Here)[] changes =
            [("collector:8889", new Uri(_page.Urls.Single()).Authority), ("interval: 15s", "interval: 1s")];
        foreach (var (deployed, here) in changes)
        {
            configuration.ShouldContain(deployed);
            configuration = configuration.Replace(deployed, here);
        }

        var file = Path.Combine(_folder.FullName, "prometheus.yaml");
        File.WriteAllText(file, configuration);
        _process = Process.Start(new ProcessStartInfo(Program,
        [
            $"--config.file={file}", $"--storage.tsdb.path={Path.Combine(_folder.FullName, "data")}",
            $"--web.listen-address={_http.BaseAddress!.Authority}", "--enable-feature=exemplar-storage", "--log.level=warn",
        ]));
    }

    private IEnumerable<(string, string)> Since() =>
        [("start", $"{_start.ToUnixTimeSeconds()}"), ("end", $"{DateTimeOffset.UtcNow.ToUnixTimeSeconds()}")];

    private async Task<JsonNode> AskAsync(
        string path, IEnumerable<(string Name, string Value)> arguments, CancellationToken cancellationToken)
    {
        var query = string.Join('&', arguments.Select(argument => $"{argument.Name}={Uri.EscapeDataString(argument.Value)}"));
        using var response = await _http.GetAsync($"/api/v1/{path}?{query}", cancellationToken);
        var answer = await response.Content.ReadAsStringAsync(cancellationToken);
        response.IsSuccessStatusCode.ShouldBeTrue($"{path} {query}: {answer}");
        return JsonNode.Parse(answer)!["data"]!;
    }
}
