using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Cluster.Tests.Shared;

namespace Cluster.Dashboard.Tests.Fixtures;

/// <summary>The dashboard as a process of its own, on a port and with keys of its own.</summary>
internal sealed class DashboardProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    private readonly ConcurrentQueue<string> _output = new();
    private readonly string _keys;
    private readonly bool _isOriginal;
    private readonly int _port = FreePorts.Take();
    private readonly string _schedulers;
    private (string Variable, string Value)[] _settings = [];
    private Process? _process;

    private DashboardProcess(string schedulers, DashboardProcess? original)
    {
        _schedulers = schedulers;
        _isOriginal = original is null;
        _keys = original?._keys ?? Directory.CreateTempSubdirectory("cluster-dashboard-keys-").FullName;
    }

    /// <summary>The lines of its log.</summary>
    public IReadOnlyCollection<string> Output => _output;

    public string Address => $"http://127.0.0.1:{_port}";

    public static async Task<DashboardProcess> StartAsync(string schedulers, params (string Variable, string Value)[] settings)
    {
        var dashboard = new DashboardProcess(schedulers, original: null) { _settings = settings };
        await dashboard.StartAsync();
        return dashboard;
    }

    /// <summary>Another one for the same cluster, with the same keys.</summary>
    public async Task<DashboardProcess> StartReplicaAsync()
    {
        var replica = new DashboardProcess(_schedulers, this);
        await replica.StartAsync();
        return replica;
    }

    public async Task StartAsync()
    {
        var start = new ProcessStartInfo(Path.Combine(Repository.Root, "artifacts/bin/Dashboard/release/Cluster.Dashboard"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["Dashboard__SchedulerAddress"] = _schedulers,
                ["Dashboard__HttpPort"] = _port.ToString(CultureInfo.InvariantCulture),
                ["Dashboard__KeyFolder"] = _keys,
            },
        };
        foreach (var (variable, value) in _settings)
            start.Environment[variable] = value;
        _process = Process.Start(start)!;
        _process.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _process.ErrorDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var late = new CancellationTokenSource(Patience);
        while (true)
        {
            _process.HasExited.ShouldBeFalse();
            using var socket = new TcpClient();
            try
            {
                await socket.ConnectAsync("127.0.0.1", _port, late.Token);
                return;
            }
            catch (SocketException)
            {
                // A moment, not a measure: it is only not to be asked without a pause.
                await Task.Delay(100, late.Token);
            }
        }
    }

    public async Task StopAsync()
    {
        if (_process is not { } process)
            return;
        _process = null;
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        if (_isOriginal)
            Directory.Delete(_keys, recursive: true);
    }
}
