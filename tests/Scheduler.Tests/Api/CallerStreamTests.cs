using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

public sealed class CallerStreamTests
{
    /// <summary>Kestrel may fail the read before it cancels the token. Such an upload was logged as a fault of the scheduler.</summary>
    [Fact]
    public async Task Read_AfterTheCallerWentAway_IsCancelled_ThoughTheTokenDoesNotSaySoYet()
    {
        var stream = new CallerStream<PutChunksRequest>(new BrokenOff());

        var end = await Should.ThrowAsync<RpcException>(() => stream.MoveNext(CancellationToken.None));

        (end.StatusCode, end.Status.Detail).ShouldBe((StatusCode.Cancelled, "The request stream was aborted."));
    }

    private sealed class BrokenOff : IAsyncStreamReader<PutChunksRequest>
    {
        public PutChunksRequest Current => throw new InvalidOperationException();

        public Task<bool> MoveNext(CancellationToken cancellationToken) =>
            Task.FromException<bool>(new IOException("The request stream was aborted."));
    }
}
