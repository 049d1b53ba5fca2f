using Cluster.Contracts.Access;

namespace Cluster.Cli.Tests;

/// <summary>One call of the command line with its streams, environment and clock in a test's hands.</summary>
internal sealed class CliRun
{
    private readonly Dictionary<string, string?> _environment = new(StringComparer.Ordinal);

    public CliRun(FakeCluster? cluster = null)
    {
        _environment["CLUSTER_SERVER"] = cluster?.Address;
        _environment["CLUSTER_TOKEN"] = FakeCluster.Token;
    }

    public string Out => OutWriter.ToString()!;

    public string Error { get; private set; } = "";

    public string In { get; init; } = "";

    public TimeProvider Time { get; init; } = new NoonTime();

    public bool IsTerminal { get; init; }

    public ConnectionPings Pings { get; init; } = ConnectionPings.Patient;

    public TextWriter OutWriter { get; init; } = new StringWriter();

    public CliRun With(string variable, string? value)
    {
        _environment[variable] = value;
        return this;
    }

    public CliHost Host(TextWriter error) => new(new StringReader(In), OutWriter, error, _environment.GetValueOrDefault, Time)
    {
        IsTerminal = IsTerminal,
        Width = 100,
        Pings = Pings,
    };

    public async Task<int> RunAsync(CancellationToken cancellationToken, params string[] arguments)
    {
        var error = new StringWriter();
        var code = await CommandLine.RunAsync(arguments, Host(error), cancellationToken);
        Error = error.ToString();
        return code;
    }
}

/// <summary>A clock that shows noon plus whatever has been waited for; every wait is over at once.</summary>
/// <param name="haste">Each wait moves the clock by so many times its length.</param>
internal sealed class NoonTime(int haste = 1) : TimeProvider
{
    private long _waited;

    public override DateTimeOffset GetUtcNow() => Builders.Noon + TimeSpan.FromTicks(Interlocked.Read(ref _waited));

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var step = dueTime > TimeSpan.Zero ? dueTime : TimeSpan.Zero;
        return base.CreateTimer(
            passed =>
            {
                Interlocked.Add(ref _waited, step.Ticks * haste);
                callback(passed);
            },
            state,
            Shortened(dueTime),
            Shortened(period));
    }

    // Never to zero: a timer that is to repeat at once would not repeat.
    private static TimeSpan Shortened(TimeSpan time) => time > TimeSpan.Zero ? TimeSpan.FromMilliseconds(1) : time;
}
