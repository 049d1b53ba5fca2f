using Cluster.Contracts.Access;

namespace Cluster.Cli;

/// <summary>What the command line needs of the process around it, so that a test can be that process.</summary>
internal sealed record CliHost(TextReader In, TextWriter Out, TextWriter Error, Func<string, string?> Environment, TimeProvider Time)
{
    /// <summary>How soon a scheduler that says nothing any more is found out.</summary>
    public ConnectionPings Pings { get; init; } = ConnectionPings.Patient;

    /// <summary>Whether a person looks at <see cref="Out"/>: live views then, plain lines otherwise.</summary>
    public bool IsTerminal { get; init; }

    /// <summary>Whether colours are welcome: https://no-color.org.</summary>
    public bool HasColours => string.IsNullOrEmpty(Environment("NO_COLOR"));

    /// <summary>Columns of the terminal; meaningless in a pipe.</summary>
    public int Width { get; init; } = 120;

    /// <summary>Rows of the terminal, more than which a live view does not use.</summary>
    public int Height { get; init; } = 40;

    public static CliHost OfProcess() =>
        new(Console.In, Console.Out, Console.Error, System.Environment.GetEnvironmentVariable, TimeProvider.System)
        {
            IsTerminal = !Console.IsOutputRedirected && System.Environment.GetEnvironmentVariable("TERM") is not (null or "dumb"),
            Width = Console.IsOutputRedirected ? 120 : Math.Max(Console.WindowWidth, 40),
            Height = Console.IsOutputRedirected ? 40 : Math.Max(Console.WindowHeight, 10),
        };
}
