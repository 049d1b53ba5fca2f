using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>How a machine becomes a node that nobody else can speak for.</summary>
[Collection(typeof(ApiTests))]
public sealed class EnrollmentTests(SharedScheduler shared)
{
    private TestScheduler Scheduler => shared.Scheduler;

    [Fact]
    public async Task Code_IsExchangedForATokenThatSpeaksForItsNodeOnly()
    {
        var (node, token) = (ANode("enrolled-a"), AccessSecret.Make(AccessSecret.Node));
        await EnrollAsync(await CodeAsync(node.Name), node, token);

        await Scheduler.Registry(token).RegisterAsync(node);
        await Scheduler.Registry(token).HeartbeatAsync(new HeartbeatRequest { NodeId = node.NodeId, Incarnation = node.Incarnation });

        // Not for another node, not under another name, and the token that nodes share not for it.
        var other = await Scheduler.AddNodeAsync("shared-b");
        await RefusedAsync(StatusCode.PermissionDenied, "does not speak for node", () => Scheduler.Registry(token)
            .HeartbeatAsync(new HeartbeatRequest { NodeId = other.NodeId, Incarnation = other.Incarnation }).ResponseAsync);
        await RefusedAsync(StatusCode.PermissionDenied, "has a token of its own", () => Scheduler.Registry()
            .HeartbeatAsync(new HeartbeatRequest { NodeId = node.NodeId, Incarnation = node.Incarnation }).ResponseAsync);
        var renamed = node.Clone();
        renamed.Name = "shared-b";
        await RefusedAsync(StatusCode.PermissionDenied, "enrolled as 'enrolled-a'", () => Scheduler.Registry(token)
            .RegisterAsync(renamed).ResponseAsync);
        // And it is no person's.
        await RefusedAsync(StatusCode.PermissionDenied, "scope viewer", () => Scheduler.Nodes(token)
            .ListNodesAsync(new ListNodesRequest()).ResponseAsync);
    }

    [Fact]
    public async Task Code_WorksOnce_ButForTheSameCallAgain()
    {
        var (node, token) = (ANode("enrolled-c"), AccessSecret.Make(AccessSecret.Node));
        var code = await CodeAsync(node.Name);
        await EnrollAsync(code, node, token);

        await EnrollAsync(code, node, token);
        await RefusedAsync(StatusCode.Unauthenticated, "has been used", () => EnrollAsync(code, ANode("enrolled-c"), token));
        await RefusedAsync(
            StatusCode.Unauthenticated, "has been used", () => EnrollAsync(code, node, AccessSecret.Make(AccessSecret.Node)));
    }

    [Fact]
    public async Task Code_OfAnotherName_TakesNoNodeOver()
    {
        var (enrolled, token) = (ANode("enrolled-d"), AccessSecret.Make(AccessSecret.Node));
        await EnrollAsync(await CodeAsync(enrolled.Name), enrolled, token);
        var registered = await Scheduler.AddNodeAsync("shared-e");
        var code = await CodeAsync("enrolled-f");

        foreach (var node in new[] { enrolled, registered })
        {
            await RefusedAsync(
                StatusCode.PermissionDenied, "another name", () => EnrollAsync(code, node, AccessSecret.Make(AccessSecret.Node)));
        }

        // It is as good as before.
        await EnrollAsync(code, ANode("enrolled-f"), AccessSecret.Make(AccessSecret.Node));
    }

    [Fact]
    public async Task SecondCode_OfTheSameName_ExchangesTheNodesToken()
    {
        var (node, lost, token) = (ANode("enrolled-g"), AccessSecret.Make(AccessSecret.Node), AccessSecret.Make(AccessSecret.Node));
        await EnrollAsync(await CodeAsync(node.Name), node, lost);

        await EnrollAsync(await CodeAsync(node.Name), node, token);

        await Scheduler.Registry(token).RegisterAsync(node);
        await RefusedAsync(StatusCode.Unauthenticated, "is revoked", () => Scheduler.Registry(lost).RegisterAsync(node).ResponseAsync);
    }

    [Fact]
    public async Task Code_ThatIsExpiredUnknownOrNone_IsRefused()
    {
        var (node, token) = (ANode("enrolled-h"), AccessSecret.Make(AccessSecret.Node));
        var expired = await CodeAsync(node.Name);
        await Scheduler.ExecuteAsync("update enrollments set expires_at = now() - interval '1 second' where name = 'enrolled-h'");

        await RefusedAsync(StatusCode.Unauthenticated, "has expired", () => EnrollAsync(expired, node, token));
        await RefusedAsync(
            StatusCode.Unauthenticated, "not known", () => EnrollAsync(AccessSecret.Make(AccessSecret.Enrollment), node, token));
        await RefusedAsync(StatusCode.Unauthenticated, "is no code", () => EnrollAsync(TestScheduler.AdminToken, node, token));
    }

    private static RegisterRequest ANode(string name) => new()
    {
        NodeId = $"{Guid.NewGuid()}",
        Name = name,
        AgentAddress = $"http://{name}:7071",
        AgentSecret = "agent secret",
        Incarnation = $"{Guid.NewGuid()}",
    };

    private static async Task RefusedAsync(StatusCode status, string problem, Func<Task> call)
    {
        var refusal = await Should.ThrowAsync<RpcException>(call);
        refusal.StatusCode.ShouldBe(status, refusal.Status.Detail);
        refusal.Status.Detail.ShouldContain(problem);
    }

    private async Task<string> CodeAsync(string name) =>
        (await Scheduler.Nodes(TestScheduler.AdminToken).EnrollNodeAsync(new EnrollNodeRequest { Name = name })).Code;

    private Task EnrollAsync(string code, RegisterRequest node, string token) => Scheduler.Registry(code)
        .EnrollAsync(new EnrollRequest { NodeId = node.NodeId, TokenSha256 = ByteString.CopyFrom(AccessSecret.Hash(token)) })
        .ResponseAsync;
}
