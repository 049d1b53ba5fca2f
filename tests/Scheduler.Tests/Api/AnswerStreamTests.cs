using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Api;

public sealed class AnswerStreamTests
{
    private const string Refusal = "Can't write the message because the request is complete.";

    /// <summary>
    /// gRPC refuses to write to a call that is over, if the call's token did not say so yet. Such a call was logged as a fault.
    /// </summary>
    [Theory]
    [InlineData(true, StatusCode.OK)]
    [InlineData(false, StatusCode.DeadlineExceeded)]
    public async Task Write_AfterTheCallIsOver_IsCancelled_AndNoFault(bool callerIsGone, StatusCode status)
    {
        using var log = new CapturedLog();

        var end = await Should.ThrowAsync<RpcException>(() => WriteAsync(log, new Call(callerIsGone, status)));

        (end.StatusCode, end.Status.Detail).ShouldBe((StatusCode.Cancelled, Refusal));
        log.Entries.ShouldBeEmpty();
    }

    [Fact]
    public async Task Write_ThatIsRefusedWhileTheCallGoesOn_IsAFault()
    {
        using var log = new CapturedLog();

        var end = await Should.ThrowAsync<RpcException>(() => WriteAsync(log, new Call(callerIsGone: false, StatusCode.OK)));

        end.StatusCode.ShouldBe(StatusCode.Internal);
        log.Entries.ShouldHaveSingleItem().Exception!.Message.ShouldBe(Refusal);
    }

    private static async Task WriteAsync(CapturedLog log, Call call)
    {
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(log));
        await new ErrorInterceptor(factory.CreateLogger<ErrorInterceptor>()).ServerStreamingServerHandler(
            new WatchJobRequest(), new Refusing(), call,
            (_, stream, context) => stream.WriteAsync(new WatchJobResponse(), context.CancellationToken));
    }

    private sealed class Refusing : IServerStreamWriter<WatchJobResponse>
    {
        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(WatchJobResponse message) => throw new InvalidOperationException(Refusal);
    }

    private sealed class Call(bool callerIsGone, StatusCode status) : ServerCallContext
    {
        protected override string MethodCore => "/cluster.v1.JobService/WatchJob";

        protected override string HostCore => "";

        protected override string PeerCore => "";

        protected override DateTime DeadlineCore => DateTime.MaxValue;

        protected override Metadata RequestHeadersCore => [];

        protected override CancellationToken CancellationTokenCore => CancellationToken.None;

        protected override Metadata ResponseTrailersCore => [];

        protected override Status StatusCore { get; set; } = new(status, "");

        protected override WriteOptions? WriteOptionsCore { get; set; }

        protected override AuthContext AuthContextCore => new("", []);

        // Where gRPC looks for it.
        protected override IDictionary<object, object> UserStateCore { get; } = new Dictionary<object, object>
        {
            ["__HttpContext"] = new DefaultHttpContext { RequestAborted = new CancellationToken(callerIsGone) },
        };

        protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) =>
            throw new NotSupportedException();

        protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
    }
}
