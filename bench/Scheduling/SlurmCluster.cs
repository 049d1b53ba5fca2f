using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Cluster.Tests.Shared;
using Cluster.Worker;

namespace Cluster.Bench.Scheduling;

/// <summary>Debian's Slurm as processes of this bench: munged, slurmctld and slurmd, with a folder and ports of their own.</summary>
internal sealed class SlurmCluster : IContestant, IAsyncDisposable
{
    // Not in the path of users who are not root.
    private const string Munge = "/usr/sbin/munged", Controller = "/usr/sbin/slurmctld", Node = "/usr/sbin/slurmd";

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly string _folder = Directory.CreateTempSubdirectory("cluster-bench-slurm-").FullName;
    private readonly Dictionary<string, string> _environment = [];
    private readonly List<Process> _daemons = [];
    private readonly TrainerStarts _starts = new();

    private SlurmCluster() => _environment["SLURM_CONF"] = Path.Combine(_folder, "slurm.conf");

    /// <summary>Of the package: "slurm-wlm 22.05.8".</summary>
    public string Version { get; private set; } = "";

    /// <exception cref="InvalidOperationException">It cannot be started; the message has what it said.</exception>
    public static async Task<SlurmCluster> StartAsync(CancellationToken cancellationToken)
    {
        var slurm = new SlurmCluster();
        try
        {
            await slurm.StartDaemonsAsync(cancellationToken);
            return slurm;
        }
        catch
        {
            await slurm.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<double> SubmitRateAsync(int jobs, int clients, CancellationToken cancellationToken)
    {
        await RunAsync(cancellationToken, ["sbatch", "--quiet", "--exclusive", .. Job(Scripts.Hold, "-")]);
        await UntilAsync(async () => await CountAsync("RUNNING", cancellationToken) > 0, "a job runs", cancellationToken);
        var (began, ended) = await SubmitAsync(jobs, clients, Job(Scripts.Hold, "-"), cancellationToken);
        await CancelAllAsync(cancellationToken);
        return jobs / (ended - began);
    }

    /// <inheritdoc/>
    public async Task<double> StartDelayAsync(CancellationToken cancellationToken)
    {
        var name = $"{Guid.NewGuid()}";
        var port = _starts.Port.ToString(CultureInfo.InvariantCulture);
        var (began, _) = await SubmitAsync(1, 1, Job(port, name), cancellationToken);
        var started = await _starts.OfAsync(name, cancellationToken);
        await NoJobsAsync(cancellationToken);
        return started - began;
    }

    public async ValueTask DisposeAsync()
    {
        if (_daemons.Count == 3 && !_daemons.Exists(daemon => daemon.HasExited))
        {
            await TryAsync(() => CancelAllAsync(CancellationToken.None));
            await TryAsync(() => RunAsync(CancellationToken.None, "scontrol", "shutdown"));
        }

        // What is left has this folder's configuration in its environment: daemons, their job steps, and the steps' processes.
        foreach (var process in ProcessesOf(_environment["SLURM_CONF"]))
            Libc.TrySignal(process, Libc.Sigkill);
        foreach (var daemon in _daemons)
        {
            await daemon.WaitForExitAsync(CancellationToken.None);
            daemon.Dispose();
        }

        _starts.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static string[] Job(string port, string name) =>
        ["--ntasks=1", "--output=/dev/null", .. Scripts.StandIn(port, worker: "-").Skip(1), "trainer", "--job", name];

    private static async Task TryAsync(Func<Task> end)
    {
        try
        {
            await end();
        }
        catch (Exception failure) when (failure is InvalidOperationException or TimeoutException)
        {
            await Console.Error.WriteLineAsync($"ending Slurm: {failure.Message}");
        }
    }

    private static IEnumerable<int> ProcessesOf(string marker)
    {
        foreach (var process in Directory.EnumerateDirectories("/proc").Select(Path.GetFileName))
        {
            if (int.TryParse(process, CultureInfo.InvariantCulture, out var id) && id != Environment.ProcessId
                && EnvironmentOf(id).Contains(marker, StringComparison.Ordinal))
                yield return id;
        }
    }

    private static string EnvironmentOf(int process)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/environ");
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return ""; // it has ended, or is another's
        }
    }

    private async Task StartDaemonsAsync(CancellationToken cancellationToken)
    {
        foreach (var part in (string[])["state", "spool"])
            Directory.CreateDirectory(Path.Combine(_folder, part));
        var key = Path.Combine(_folder, "munge.key");
        await File.WriteAllBytesAsync(key, RandomNumberGenerator.GetBytes(128), cancellationToken);
        File.SetUnixFileMode(key, UnixFileMode.UserRead);
        var host = Environment.MachineName.Split('.')[0];
        var ports = (FreePorts.Take(), FreePorts.Take());
        await File.WriteAllTextAsync(
            _environment["SLURM_CONF"],
            SlurmConfiguration.Text(_folder, host, Environment.UserName, Libc.ThreadCores().Count, ports), cancellationToken);
        Version = (await RunAsync(cancellationToken, Controller, "-V")).Trim();
        Start(
            Munge, "--foreground", "--force", $"--key-file={key}", $"--socket={_folder}/munge.socket", $"--pid-file={_folder}/munged.pid",
            $"--seed-file={_folder}/munged.seed", $"--log-file={_folder}/munged.log");
        await UntilAsync(() => Task.FromResult(Path.Exists($"{_folder}/munge.socket")), "munged listens", cancellationToken);
        Start(Controller, "-D");
        Start(Node, "-D", "-N", "bench");
        await UntilAsync(IsIdleAsync, "its node is idle", cancellationToken);

        async Task<bool> IsIdleAsync()
        {
            try
            {
                return (await RunAsync(cancellationToken, "sinfo", "--noheader", "--format=%T")).Trim() == "idle";
            }
            catch (InvalidOperationException)
            {
                return false; // slurmctld does not listen yet
            }
        }
    }

    /// <summary>Its output goes to a file of its name.</summary>
    private void Start(params string[] command)
    {
        var start = new ProcessStartInfo("/bin/bash", ["-c", "exec \"$@\" >\"$0\" 2>&1", LogOf(command[0]), .. command]);
        foreach (var (name, value) in _environment)
            start.Environment[name] = value;
        _daemons.Add(Process.Start(start)!);
    }

    private string LogOf(string daemon) => Path.Combine(_folder, Path.GetFileName(daemon) + ".out");

    private async Task<(double Began, double Ended)> SubmitAsync(int jobs, int clients, string[] job, CancellationToken cancellationToken)
    {
        string[] command = ["/bin/bash", Scripts.PathOf("sbatch.sh"), $"{jobs}", $"{clients}", .. job];
        var times = (await RunAsync(cancellationToken, command)).Split();
        return (UnixTime.Parse(times[0]), UnixTime.Parse(times[1]));
    }

    private async Task CancelAllAsync(CancellationToken cancellationToken)
    {
        await RunAsync(cancellationToken, "scancel", $"--user={Environment.UserName}");
        await NoJobsAsync(cancellationToken);
    }

    private Task NoJobsAsync(CancellationToken cancellationToken) => UntilAsync(
        async () => await CountAsync("PENDING,CONFIGURING,RUNNING,SUSPENDED,COMPLETING", cancellationToken) == 0, "no job is left",
        cancellationToken);

    private async Task<int> CountAsync(string states, CancellationToken cancellationToken) =>
        (await RunAsync(cancellationToken, "squeue", "--noheader", "--format=%i", $"--states={states}"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Length;

    private Task<string> RunAsync(CancellationToken cancellationToken, params IReadOnlyList<string> command) =>
        Shell.RunAsync(_environment, cancellationToken, command);

    private async Task UntilAsync(Func<Task<bool>> isSo, string what, CancellationToken cancellationToken)
    {
        var began = Stopwatch.GetTimestamp();
        while (!await isSo())
        {
            if (_daemons.Find(daemon => daemon.HasExited) is not null || Stopwatch.GetElapsedTime(began) > Patience)
                throw new InvalidOperationException($"Slurm: it is not so that {what}\n{Said()}");
            await Task.Delay(Look, cancellationToken);
        }
    }

    private string Said() =>
        string.Concat(((string[])[Munge, Controller, Node]).Select(LogOf).Where(File.Exists).Select(File.ReadAllText));
}
