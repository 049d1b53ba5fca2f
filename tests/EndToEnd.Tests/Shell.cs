using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;

namespace Cluster.EndToEnd.Tests;

/// <summary>Runs programs as a person at a shell would, and says what came out.</summary>
internal static class Shell
{
    public static string Root { get; } = FindRoot();

    public static async Task<Outcome> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Root,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var said = new ConcurrentQueue<string>();
        var (output, error) = (ReadAsync(process.StandardOutput, said), ReadAsync(process.StandardError, said));
        return await Patience.BoundAsync(
            EndAsync, () => Task.FromResult($"{program} {string.Join(' ', start.ArgumentList)}\n{string.Concat(said)}"), cancellationToken);

        async Task<Outcome> EndAsync(CancellationToken token)
        {
            try
            {
                // Its output ends with the last of its children that has it.
                await process.WaitForExitAsync(token);
                return new Outcome(process.ExitCode, await output.WaitAsync(token), await error.WaitAsync(token));
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, ConcurrentQueue<string> said)
    {
        var (text, buffer) = (new StringBuilder(), new char[4096]);
        while (await reader.ReadAsync(buffer) is > 0 and var read)
        {
            said.Enqueue(new string(buffer, 0, read));
            text.Append(buffer, 0, read);
        }

        return text.ToString();
    }

    private static string FindRoot([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", ".."));
}

internal sealed record Outcome(int ExitCode, string Output, string Error)
{
    public Outcome MustSucceed() =>
        ExitCode == 0 ? this : throw new InvalidOperationException($"exit code {ExitCode}\n{Output}\n{Error}");
}
