using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api.Strangers;

/// <summary>Every broken request gets its status and leaves no call behind, and the scheduler goes on.</summary>
[Collection(typeof(StrangersTests))]
public sealed class MalformedRequestTests(StrangersScheduler shared) : IAsyncLifetime
{
    private const string List = "/cluster.v1.JobService/ListJobs";
    private const string Import = "/cluster.v1.CheckpointService/ImportCheckpoint";

    // What a server of gRPC takes unless told otherwise.
    private const int LargestMessage = 4 << 20;

    private static readonly Dictionary<string, byte[]> Bodies = new()
    {
        ["nothing"] = [],
        ["half a prefix"] = [0, 0, 0],
        ["half a message"] = [0, 0, 0, 0, 10, 1, 2],
        ["two messages"] = [.. RawClient.Frame([]), .. RawClient.Frame([])],
        ["an unknown flag"] = [2, 0, 0, 0, 0],
        ["no protobuf"] = RawClient.Frame([0xff, 0xff, 0xff, 0xff]),
        ["compressed without an encoding"] = RawClient.Frame(Gzip([]), flag: 1),
        ["a claim of 2 GiB"] = [0, 0x7f, 0xff, 0xff, 0xff],
        ["a byte too much"] = RawClient.Frame(new byte[LargestMessage + 1]),
        ["compressed"] = RawClient.Frame(Gzip([]), flag: 1),
        ["not compressed"] = RawClient.Frame([1, 2, 3], flag: 1),
        ["64 MiB compressed"] = RawClient.Frame(Gzip(new byte[64 << 20]), flag: 1),
    };

    private readonly RawClient _client = new(shared.Scheduler.Channel.Target);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        using var next = await CallAsync(List, RawClient.Frame(new ListJobsRequest()));
        next.StatusOf().ShouldBe(StatusCode.OK, "the scheduler goes on");
        _client.Connections.ShouldBe(1, "what was broken ended its own call, not the connection");
        _client.Dispose();
        await shared.WhenAllIsFreedAsync();
    }

    /// <summary>Unknown is Grpc.AspNetCore's word where other servers say Internal: no interceptor sees it read a single message.</summary>
    [Theory]
    [InlineData("nothing", StatusCode.Internal)]
    [InlineData("half a prefix", StatusCode.Internal)]
    [InlineData("half a message", StatusCode.Internal)]
    [InlineData("two messages", StatusCode.Internal)]
    [InlineData("an unknown flag", StatusCode.Unknown)]
    [InlineData("no protobuf", StatusCode.Unknown)]
    [InlineData("compressed without an encoding", StatusCode.Internal)]
    [InlineData("a claim of 2 GiB", StatusCode.ResourceExhausted)]
    [InlineData("a byte too much", StatusCode.ResourceExhausted)]
    [InlineData("compressed", StatusCode.OK, "gzip")]
    [InlineData("compressed", StatusCode.Unimplemented, "snappy")]
    [InlineData("not compressed", StatusCode.Unknown, "gzip")]
    [InlineData("64 MiB compressed", StatusCode.ResourceExhausted, "gzip")]
    public async Task Body_OfAUnaryCall_HasItsStatus(string body, StatusCode status, string? encoding = null)
    {
        using var response = await CallAsync(List, Bodies[body], encoding);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.StatusOf().ShouldBe(status, response.Find("grpc-message"));
    }

    [Theory]
    [InlineData("nothing", StatusCode.InvalidArgument, "the first message describes no file; set file")]
    [InlineData("half a prefix", StatusCode.Internal, "Incomplete message.")]
    [InlineData("half a message", StatusCode.Internal, "Incomplete message.")]
    [InlineData("an unknown flag", StatusCode.Internal, "the request cannot be read: Unexpected compressed flag value")]
    [InlineData("no protobuf", StatusCode.Internal, "the request cannot be read: While parsing a protocol message")]
    [InlineData("compressed without an encoding", StatusCode.Internal, "Request did not include grpc-encoding value")]
    [InlineData("a claim of 2 GiB", StatusCode.ResourceExhausted, "Received message exceeds")]
    [InlineData("a byte too much", StatusCode.ResourceExhausted, "Received message exceeds")]
    [InlineData("compressed", StatusCode.InvalidArgument, "the first message describes no file; set file", "gzip")]
    [InlineData("compressed", StatusCode.Unimplemented, "Unsupported grpc-encoding value 'snappy'", "snappy")]
    [InlineData("not compressed", StatusCode.Internal, "the request cannot be read: The archive entry", "gzip")]
    [InlineData("64 MiB compressed", StatusCode.ResourceExhausted, "Received message exceeds", "gzip")]
    public async Task Body_OfAClientStreamingCall_HasItsStatus(string body, StatusCode status, string said, string? encoding = null)
    {
        using var response = await CallAsync(Import, Bodies[body], encoding);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.StatusOf().ShouldBe(status, response.Find("grpc-message"));
        Uri.UnescapeDataString(response.Find("grpc-message")!).ShouldStartWith(said);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("application/json")]
    [InlineData("application/grpc-web")]
    public async Task ContentType_ThatIsNotGrpc_IsUnsupportedMediaType(string? type)
    {
        using var response = await _client.CallAsync(List, RawClient.Frame(new ListJobsRequest()), TestScheduler.ViewerToken, request =>
        {
            request.Content!.Headers.Remove("Content-Type");
            if (type is not null)
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        });

        response.StatusCode.ShouldBe(HttpStatusCode.UnsupportedMediaType);
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("PUT")]
    public async Task Method_OtherThanPost_IsNotFound(string method)
    {
        using var response = await _client.CallAsync(
            List, RawClient.Frame(new ListJobsRequest()), TestScheduler.ViewerToken, request => request.Method = HttpMethod.Parse(method));

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Metadata_OfTooManyEntries_IsTooLarge()
    {
        // Kestrel takes 100. Of too many bytes there is no test: HttpClient knows the server's limit and sends nothing beyond.
        using var response = await CallAsync(List, RawClient.Frame(new ListJobsRequest()), change: request =>
        {
            for (var entry = 0; entry < 100; entry++)
                request.Headers.Add($"x-{entry}", "x");
        });

        response.StatusCode.ShouldBe(HttpStatusCode.RequestHeaderFieldsTooLarge);
    }

    [Fact]
    public async Task BinaryMetadata_ThatIsNotBase64AndNotForTheScheduler_IsIgnored()
    {
        using var response = await CallAsync(
            List, RawClient.Frame(new ListJobsRequest()), change: request => request.Headers.TryAddWithoutValidation("x-bin", "!!!"));

        response.StatusOf().ShouldBe(StatusCode.OK);
    }

    [Fact]
    public async Task Deadline_OfAClientThatDoesNotKeepItItself_IsKeptByTheScheduler()
    {
        var job = await shared.Scheduler.SubmitWaitingAsync();

        using var response = await CallAsync(
            "/cluster.v1.JobService/WatchJob", RawClient.Frame(new WatchJobRequest { JobId = job.Id }),
            change: request => request.Headers.Add("grpc-timeout", "1S"));

        response.StatusOf().ShouldBe(StatusCode.DeadlineExceeded);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: scheduler\r\n\r\n")]
    [InlineData("no HTTP of any version\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nno frame of any type")]
    public async Task Bytes_ThatAreNotHttp2_EndTheirOwnConnection(string bytes)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(IPEndPoint.Parse(shared.Scheduler.Channel.Target), TestContext.Current.CancellationToken);
        await using var stream = connection.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(bytes), TestContext.Current.CancellationToken);

        await stream.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken);
    }

    private Task<HttpResponseMessage> CallAsync(
        string path, byte[] body, string? encoding = null, Action<HttpRequestMessage>? change = null) =>
        _client.CallAsync(path, body, TestScheduler.SubmitterToken, request =>
        {
            if (encoding is not null)
                request.Headers.Add("grpc-encoding", encoding);
            change?.Invoke(request);
        });

    private static byte[] Gzip(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Optimal))
            gzip.Write(bytes);
        return output.ToArray();
    }
}
