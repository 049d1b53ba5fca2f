using System.Collections.Concurrent;
using Google.Protobuf;

namespace Cluster.Worker.Agent;

/// <summary>
/// Chunks of a checkpoint that a rank of an attempt has fetched, kept for the others on this node until all train: each is asked of the
/// store once a node.
/// </summary>
/// <remarks>
/// In files, since a checkpoint may be larger than the memory that is left. Where they cannot be written, every rank fetches for itself.
/// </remarks>
internal sealed class SharedChunks(string folder) : IDisposable
{
    private readonly ConcurrentDictionary<ByteString, Task<string?>> _files = new();
    private readonly Lock _gate = new();
    private bool _disposed;

    /// <summary>A chunk's data. Whoever asks first has it fetched; others wait for that, and fetch it themselves if it fails.</summary>
    /// <param name="sha256">The chunk.</param>
    /// <param name="fetch">From the store.</param>
    /// <param name="cancellationToken">Ends the wait for another rank's fetch.</param>
    public async Task<ByteString> GetAsync(ByteString sha256, Func<Task<ByteString>> fetch, CancellationToken cancellationToken)
    {
        while (true)
        {
            var own = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
            var first = _files.GetOrAdd(sha256, own.Task);
            if (first == own.Task)
                return await FetchAsync(sha256, fetch, own);
            if (await first.WaitAsync(cancellationToken) is not { } file)
                return await fetch();
            if (file.Length > 0 && TryRead(file) is { } data)
                return data;
            // The rank that fetched it has failed, or the file is gone.
            _files.TryRemove(KeyValuePair.Create(sha256, first));
        }
    }

    /// <summary>All ranks train, or the attempt is over.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            Remove(folder);
        }
    }

    /// <summary>What an agent that was killed left.</summary>
    public static void Remove(string folder)
    {
        try
        {
            if (Directory.Exists(folder))
                Directory.Delete(folder, recursive: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Space that is lost until the agent's next start, and nothing else.
        }
    }

    private async Task<ByteString> FetchAsync(ByteString sha256, Func<Task<ByteString>> fetch, TaskCompletionSource<string?> told)
    {
        const string Failed = "";
        var file = Failed;
        try
        {
            var data = await fetch();
            file = TryWrite(sha256, data);
            return data;
        }
        finally
        {
            told.SetResult(file);
        }
    }

    private string? TryWrite(ByteString sha256, ByteString data)
    {
        var file = Path.Combine(folder, Convert.ToHexStringLower(sha256.Span));
        lock (_gate)
        {
            if (_disposed)
                return null;
            try
            {
                Directory.CreateDirectory(folder);
                File.WriteAllBytes(file, data.Span);
                return file;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return null;
            }
        }
    }

    private static ByteString? TryRead(string file)
    {
        try
        {
            return UnsafeByteOperations.UnsafeWrap(File.ReadAllBytes(file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
