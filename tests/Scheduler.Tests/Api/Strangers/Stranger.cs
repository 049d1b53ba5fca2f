using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api.Strangers;

/// <summary>A client in another language, in a process of its own. Asked one question after another, it tells what it saw.</summary>
public sealed class Stranger : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    // Only so that what hangs fails.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process _process;
    private readonly Task<string> _errors;

    public Stranger(ProcessStartInfo start)
    {
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError) = (true, true, true);
        _process = Process.Start(start)!;
        _errors = _process.StandardError.ReadToEndAsync();
    }

    /// <param name="check">One of those that both client.js and client.py know.</param>
    /// <param name="arguments">The check's arguments by their names.</param>
    public async Task<Seen> AskAsync(string check, object arguments)
    {
        var question = JsonSerializer.SerializeToNode(arguments, Json)!.AsObject();
        question.Add("check", check);
        await _process.StandardInput.WriteLineAsync(question.ToJsonString());
        await _process.StandardInput.FlushAsync(TestContext.Current.CancellationToken);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Patience);
        var answer = await _process.StandardOutput.ReadLineAsync(limit.Token)
            ?? throw new InvalidOperationException($"the client ended at {check}: {await _errors}");
        var seen = JsonSerializer.Deserialize<Seen>(answer, Json)!;
        seen.Thrown.ShouldBeNull();
        return seen;
    }

    /// <summary>As if its machine had lost power, but for the operating system, which closes its connections.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // It may be at something that never ends.
        await KillAsync();
        await _errors;
        _process.Dispose();
    }
}

/// <summary>What a stranger saw of a call. What its check does not tell is null.</summary>
/// <param name="States">Of a job, or of a server's health, as their protos name them.</param>
/// <param name="Files">File descriptors.</param>
/// <param name="Named">The file descriptors that came for a file's name.</param>
/// <param name="Unknown">The answer to a question about an unknown symbol.</param>
/// <param name="Thrown">The client's own failure, with its stack.</param>
public sealed record Seen(
    StatusCode? Code, string? Message, string? Id, string[]? States, long? Bytes, string? Sha256,
    string[]? Services, byte[][]? Files, byte[][]? Named, StatusCode? Unknown, string? Thrown);
