using Grpc.Core;
using Grpc.Wire;

namespace Grpc.Net.Client;

/// <summary>Writes a call's requests into the HTTP request body while the answers may already be coming.</summary>
internal sealed class RequestStreamWriter<TRequest, TResponse>(HttpCall<TRequest, TResponse> call) : IClientStreamWriter<TRequest>
    where TRequest : class
    where TResponse : class
{
    private readonly Lock gate = new();
    private readonly TaskCompletionSource<Stream> bodyReady = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource completed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly MessageWriter messages = call.CreateMessageWriter();
    private Task writing = Task.CompletedTask;

    public WriteOptions? WriteOptions { get; set; } = call.Options.WriteOptions;

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    /// <summary>Cancelling a write cancels the call, since the server would be left with half a message.</summary>
    public Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        lock (gate)
        {
            if (completed.Task.IsCompleted)
                return Task.FromException(new InvalidOperationException("Request stream has already been completed."));
            if (call.Stopped.IsCancellationRequested)
                return Task.FromException(call.Failure());
            if (!writing.IsCompleted)
                return Task.FromException(new InvalidOperationException("Can't write the message because the previous write is in progress."));
            return writing = WriteCoreAsync(message, cancellationToken);
        }
    }

    public Task CompleteAsync()
    {
        lock (gate)
        {
            if (!writing.IsCompleted)
                return Task.FromException(new InvalidOperationException("Can't complete the client stream writer because the previous write is in progress."));
            completed.TrySetResult();
            return Task.CompletedTask;
        }
    }

    /// <summary>Lends the body to the writer until the stream is completed or the call ends.</summary>
    public async Task UseBodyAsync(Stream body)
    {
        await body.FlushAsync(call.Stopped).ConfigureAwait(false);  // the server starts its handler on the headers alone
        if (!bodyReady.TrySetResult(body))
            throw new IOException("The connection was lost after requests had been written to it.");
        await completed.Task.WaitAsync(call.Stopped).ConfigureAwait(false);
    }

    private async Task WriteCoreAsync(TRequest message, CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(_ => call.Cancel("Call canceled by the client."), state: null).ConfigureAwait(false);
        try
        {
            var body = await bodyReady.Task.WaitAsync(call.Stopped).ConfigureAwait(false);
            await body.WriteAsync(messages.Frame(call.Method.RequestMarshaller, message, WriteOptions), call.Stopped).ConfigureAwait(false);
            if (WriteOptions?.Flags.HasFlag(WriteFlags.BufferHint) != true)
                await body.FlushAsync(call.Stopped).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not RpcException)
        {
            throw call.WriteFailure(e);
        }
    }
}
