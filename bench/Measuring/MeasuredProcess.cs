using System.Diagnostics;
using System.Text.Json;
using Cluster.Bench.Hosts;
using Cluster.Worker.Devices;

namespace Cluster.Bench.Measuring;

/// <summary>
/// A process that waits for orders on standard input, a JSON document a line, and answers each with one on standard output. Between
/// orders it sleeps, so that several contestants can be kept ready at once. Its standard error is this process's.
/// </summary>
internal sealed class MeasuredProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly string _name;

    private MeasuredProcess(ProcessStartInfo start, string name)
    {
        start.UseShellExecute = false;
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        _name = name;
        _process = Process.Start(start) ?? throw new InvalidOperationException($"{name} could not be started");
    }

    /// <summary>This program again, with another verb.</summary>
    public static MeasuredProcess StartOurs(params IEnumerable<string> arguments) =>
        new(Ours(arguments), "this program's " + arguments.First());

    /// <summary>The same with settings of its own.</summary>
    /// <param name="environment">Added to this process's own.</param>
    /// <param name="arguments">Verb and what follows it.</param>
    public static MeasuredProcess StartOurs(IReadOnlyDictionary<string, string> environment, params IEnumerable<string> arguments) =>
        new(With(environment, Ours(arguments)), "this program's " + arguments.First());

    /// <summary>The same on one of two hosts.</summary>
    public static MeasuredProcess StartOursOn(TwoHosts hosts, int host, params IEnumerable<string> arguments) =>
        new(hosts.On(host, Ours(arguments)), $"this program's {arguments.First()} on host {host}");

    /// <summary>The same where a trainer would run.</summary>
    public static MeasuredProcess StartOurs(TrainerPlace place, params IEnumerable<string> arguments) =>
        new(At(place, Ours(arguments)), "this program's " + arguments.First());

    /// <summary>A script of <c>bench/peers</c>, under the system's Python.</summary>
    /// <param name="script">File name.</param>
    /// <param name="environment">Added to this process's own.</param>
    /// <param name="arguments">For the script.</param>
    public static MeasuredProcess StartPeer(
        string script, IReadOnlyDictionary<string, string>? environment, params IEnumerable<string> arguments) =>
        new(Peer(script, environment, arguments), script);

    /// <summary>The same where a trainer of ours would run.</summary>
    public static MeasuredProcess StartPeer(TrainerPlace place, string script, params IEnumerable<string> arguments) =>
        new(At(place, Peer(script, null, arguments)), script);

    /// <summary>The same on one of two hosts.</summary>
    public static MeasuredProcess StartPeerOn(
        TwoHosts hosts, int host, string script, IReadOnlyDictionary<string, string>? environment, params IEnumerable<string> arguments) =>
        new(hosts.On(host, Peer(script, environment, arguments)), $"{script} on host {host}");

    /// <exception cref="ProcessEndedException">The process has ended.</exception>
    public async Task SendAsync<T>(T order)
    {
        try
        {
            await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(order));
            await _process.StandardInput.FlushAsync();
        }
        catch (IOException)
        {
            throw await EndedAsync(CancellationToken.None);
        }
    }

    /// <exception cref="ProcessEndedException">The process ended instead of answering.</exception>
    public async Task<T> ReceiveAsync<T>(CancellationToken cancellationToken)
    {
        var line = await _process.StandardOutput.ReadLineAsync(cancellationToken);
        return line is null ? throw await EndedAsync(cancellationToken) : JsonSerializer.Deserialize<T>(line)!;
    }

    /// <summary>Closing its input ends the process; it is killed if it has not ended soon after.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        try
        {
            _process.StandardInput.Close();
            await _process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (IOException)
        {
            _process.Kill(entireProcessTree: true); // the pipe is broken: it is ending, or stuck
        }

        _process.Dispose();
    }

    private async Task<ProcessEndedException> EndedAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        return new ProcessEndedException(
            $"{_name} ended with exit code {_process.ExitCode} where an answer was expected; see its message above, "
            + "or the kernel's if there is none: 137 is what it kills with when memory runs out");
    }

    private static ProcessStartInfo Ours(IEnumerable<string> arguments) => new(Environment.ProcessPath!, arguments);

    /// <summary>How to start a script of <c>bench/peers</c>.</summary>
    /// <param name="script">File name.</param>
    /// <param name="redirected">Whether this process reads its output.</param>
    /// <param name="arguments">For the script.</param>
    public static ProcessStartInfo Python(string script, bool redirected, params IEnumerable<string> arguments) =>
        new(
            Environment.GetEnvironmentVariable("CLUSTER_BENCH_PYTHON") ?? "/usr/bin/python3",
            [Path.Combine(AppContext.BaseDirectory, "peers", script), .. arguments])
        {
            RedirectStandardOutput = redirected,
        };

    private static ProcessStartInfo Peer(string script, IReadOnlyDictionary<string, string>? environment, IEnumerable<string> arguments) =>
        With(environment ?? new Dictionary<string, string>(), Python(script, redirected: true, arguments));

    private static ProcessStartInfo With(IReadOnlyDictionary<string, string> environment, ProcessStartInfo start)
    {
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        return start;
    }

    private static ProcessStartInfo At(TrainerPlace place, ProcessStartInfo start)
    {
        var bound = new ProcessStartInfo("taskset", ["--cpu-list", CoreList.Text(place.Cores), start.FileName, .. start.ArgumentList]);
        bound.Environment.Clear();
        foreach (var (key, value) in place.Environment)
            bound.Environment[key] = value;
        return bound;
    }
}

/// <summary>A process that is to be measured has ended; what it said stands on standard error.</summary>
internal sealed class ProcessEndedException(string message) : Exception(message);
