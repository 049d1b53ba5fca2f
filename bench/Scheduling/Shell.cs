using System.Diagnostics;

namespace Cluster.Bench.Scheduling;

/// <summary>Runs a program to its end.</summary>
internal static class Shell
{
    /// <param name="environment">Added to this process's own.</param>
    /// <param name="cancellationToken">Ends the program, and what it started.</param>
    /// <param name="command">Program and arguments.</param>
    /// <returns>Its standard output.</returns>
    /// <exception cref="InvalidOperationException">It failed; the message has what it said.</exception>
    public static async Task<string> RunAsync(
        IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken, params IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(cancellationToken),
            process.StandardError.ReadToEndAsync(cancellationToken));
        try
        {
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? await output
                : throw new InvalidOperationException(
                    $"{string.Join(' ', command)}: exit code {process.ExitCode}\n{await output}{await errors}");
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}
