using System.Text.Json;
using Grpc.Core;

namespace Cluster.Grpc.Tests;

public sealed class NodeClientTests(NodeClientTests.Run run) : StrangersClientTests(run), IClassFixture<NodeClientTests.Run>
{
    public sealed class Run() : ClientRun(async address => await Strangers.NodeAsync("client.js", address));
}

public sealed class PythonClientTests(PythonClientTests.Run run) : StrangersClientTests(run), IClassFixture<PythonClientTests.Run>
{
    public sealed class Run() : ClientRun(async address => await Strangers.PythonAsync("client.py", address));
}

/// <summary>One run of a stranger's client against the polyfill's server; it prints what it saw.</summary>
public abstract class ClientRun(Func<string, Task<System.Diagnostics.ProcessStartInfo>> client) : IAsyncLifetime
{
    private JsonDocument seen = null!;

    /// <summary>How many handlers were cancelled, of the two that were asked to wait.</summary>
    public int Cancelled { get; private set; }

    public JsonElement Check(string name) => seen.RootElement.GetProperty(name);

    public async ValueTask InitializeAsync()
    {
        await using var server = await EchoServer.StartAsync();
        seen = JsonDocument.Parse(await Strangers.RunAsync(await client(server.Address.Authority)));
        for (; Cancelled < 2; Cancelled++)
            await server.Record.HandlerWasCancelledAsync(TestContext.Current.CancellationToken);
        await server.ActiveCalls.WhenNoneAsync().WaitAsync(TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync()
    {
        seen.Dispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }
}

/// <summary>A stranger's client against the polyfill's server.</summary>
public abstract class StrangersClientTests(ClientRun run)
{
    [Fact]
    public void Unary_GetsItsReply() => Text("unary", "text").ShouldBe("hello");

    [Fact]
    public void ClientStreaming_IsReadToItsEnd()
    {
        Text("collect", "text").ShouldBe("0 1 2 3 4 5 6 7 8 9");
        Number("collect", "count").ShouldBe(10);
    }

    [Fact]
    public void ServerStreaming_DeliversInOrder() => Streamed("expand").ShouldBe(["n0", "n1", "n2", "n3", "n4"]);

    [Fact]
    public void DuplexStreaming_FlowsBothWaysAtOnce() => Streamed("chat").ShouldBe(["c0", "c1", "c2", "c3", "c4"]);

    [Fact]
    public void Deadline_EndsTheCall()
    {
        Code("deadline").ShouldBe(StatusCode.DeadlineExceeded);
        run.Cancelled.ShouldBe(2);
    }

    [Fact]
    public void Cancellation_EndsTheCall()
    {
        run.Check("cancel").GetProperty("texts").EnumerateArray().Single().GetString().ShouldBe("n0");
        Code("cancel").ShouldBe(StatusCode.Cancelled);
    }

    [Fact]
    public void Failure_KeepsMessageAndTrailers()
    {
        Code("failure").ShouldBe(StatusCode.NotFound);
        Text("failure", "message").ShouldBe(EchoService.UnusualMessage);
        Text("failure", "reason").ShouldBe("asked to");
    }

    [Fact]
    public void Exception_OfTheHandler_TellsNothing()
    {
        Code("throws").ShouldBe(StatusCode.Unknown);
        Text("throws", "message").ShouldBe("Exception was thrown by handler.");
    }

    [Fact]
    public void Metadata_TravelsBothWays()
    {
        Text("metadata", "initial").ShouldBe("plain");
        Text("metadata", "initialBytes").ShouldBe("00ff01");
        Text("metadata", "trailing").ShouldBe("plain");
        Text("metadata", "trailingBytes").ShouldBe("00ff01");
    }

    [Fact]
    public void LargeMessage_TravelsBothWays()
    {
        Number("large", "size").ShouldBe(EchoServer.LargeMessage);
        run.Check("large").GetProperty("same").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public void Gzip_TravelsBothWays()
    {
        Text("gzip", "requestEncoding").ShouldBe("gzip");
        Number("gzip", "sent").ShouldBe(10_000);
        Number("gzip", "received").ShouldBe(10_000);
    }

    [Fact]
    public void UnknownMethod_IsUnimplemented() => Code("unknownMethod").ShouldBe(StatusCode.Unimplemented);

    [Fact]
    public void Health_IsTheServersOwn()
    {
        Number("health", "status").ShouldBe(1, "SERVING");
        Number("health", "unknown").ShouldBe((int)StatusCode.NotFound);
    }

    [Fact]
    public void Reflection_ShowsServicesFilesAndExtensions()
    {
        Code("reflection").ShouldBe(StatusCode.OK);
        run.Check("reflection").GetProperty("services").EnumerateArray().Select(name => name.GetString()).ShouldBe(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection", "polyfill.v1.Echo", "polyfill.v1.Zip"]);
        Number("reflection", "files").ShouldBe(3, "echo.proto, options.proto and descriptor.proto");
        run.Check("reflection").GetProperty("extensions").EnumerateArray().Single().GetInt32().ShouldBe(50001);
        Number("reflection", "missing").ShouldBe((int)StatusCode.NotFound);
    }

    private string? Text(string check, string property) => run.Check(check).GetProperty(property).GetString();

    private int Number(string check, string property) => run.Check(check).GetProperty(property).GetInt32();

    private StatusCode Code(string check) => (StatusCode)Number(check, "code");

    private IEnumerable<string?> Streamed(string check)
    {
        Code(check).ShouldBe(StatusCode.OK);
        return run.Check(check).GetProperty("texts").EnumerateArray().Select(text => text.GetString());
    }
}
