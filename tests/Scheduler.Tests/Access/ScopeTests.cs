using System.Net;
using System.Text;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Attempts;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Api;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;

namespace Cluster.Scheduler.Tests.Access;

[Collection(typeof(ApiTests))]
public sealed class ScopeTests(SharedScheduler shared)
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(bytes => bytes, bytes => bytes);

    private const string Expired = "a-token-that-has-expired";
    private const string Revoked = "a-token-that-is-revoked";

    private static readonly (string Token, Scope Scope)[] Tokens =
    [
        (TestScheduler.ViewerToken, Scope.Viewer), (TestScheduler.SubmitterToken, Scope.Submitter),
        (TestScheduler.OperatorToken, Scope.Operator), (TestScheduler.AdminToken, Scope.Admin), (TestScheduler.NodeToken, Scope.Node),
    ];

    /// <summary>Who may make the calls that need a scope, written out: not by the rule that is under test.</summary>
    private static readonly Dictionary<Scope, Scope[]> Admitted = new()
    {
        [Scope.Viewer] = [Scope.Viewer, Scope.Submitter, Scope.Operator, Scope.Admin],
        [Scope.Submitter] = [Scope.Submitter, Scope.Operator, Scope.Admin],
        [Scope.Operator] = [Scope.Operator, Scope.Admin],
        [Scope.Admin] = [Scope.Admin],
        [Scope.Node] = [Scope.Node],
        // A secret, and the metadata that says whose; no token that is given out.
        [Scope.Attempt] = [],
        // A code.
        [Scope.Enrollment] = [],
    };

    private TestScheduler Scheduler => shared.Scheduler;

    private IEnumerable<IMethod> Mapped => Scheduler.Get<EndpointDataSource>().Endpoints
        .Select(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method).OfType<IMethod>();

    [Fact]
    public void EveryRpc_OfClusterV1_DeclaresAScope()
    {
        var files = typeof(JobsReflection).Assembly.GetTypes()
            .Where(type => type.Namespace == typeof(JobsReflection).Namespace && type.Name.EndsWith("Reflection", StringComparison.Ordinal))
            .Select(type => (FileDescriptor)type.GetProperty("Descriptor")!.GetValue(null)!).ToList();
        var declared = files.SelectMany(file => file.Services).SelectMany(service => service.Methods)
            .ToDictionary(method => $"/{method.Service.FullName}/{method.Name}", RequiredScope.Of);

        declared.Count.ShouldBeGreaterThan(20);
        RequiredScope.ByPath.OrderBy(rpc => rpc.Key, StringComparer.Ordinal)
            .ShouldBe(declared.OrderBy(rpc => rpc.Key, StringComparer.Ordinal));
    }

    [Fact]
    public void EveryMappedMethod_NeedsAScope_ButForHealthAndReflection()
    {
        var open = Mapped.Where(method => !RequiredScope.ByPath.ContainsKey(method.FullName)).Select(method => method.ServiceName)
            .Distinct().ToList();
        var guarded = Mapped.Where(method => RequiredScope.ByPath.ContainsKey(method.FullName)).Select(method => method.ServiceName)
            .Distinct();

        open.ShouldBeSubsetOf(["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]);
        open.ShouldContain("grpc.health.v1.Health");
        ScopeInterceptor.OpenServices.Order().ShouldBe(
            ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]);
        guarded.Order().ShouldBe(
        [
            "cluster.v1.AgentRegistryService", "cluster.v1.AttemptService", "cluster.v1.AuditService", "cluster.v1.CheckpointService",
            "cluster.v1.DataService", "cluster.v1.ExperimentService", "cluster.v1.JobService", "cluster.v1.ModelService",
            "cluster.v1.NodeService", "cluster.v1.QueueService", "cluster.v1.ReportService", "cluster.v1.RunService",
            "cluster.v1.TokenService", "cluster.v1.WebhookService", "cluster.v1.WorkspaceService",
        ]);
    }

    [Fact]
    public async Task EachRpc_AdmitsTheTokensOfItsScopeAndOfThoseAbove_AndNoOther()
    {
        var wrong = new List<string>();
        // Of a scope that would do for people's calls.
        await Scheduler.AddTokenAsync(Expired, "eve", Scope.Admin, DateTimeOffset.UtcNow.AddHours(-1));
        var revoked = await Scheduler.AddTokenAsync(Revoked, "eve", Scope.Admin);
        await Scheduler.Tokens().RevokeTokenAsync(new RevokeTokenRequest { TokenId = $"{revoked}" });
        foreach (var (path, needed) in Mapped.Where(m => RequiredScope.ByPath.ContainsKey(m.FullName))
            .Select(m => (m.FullName, RequiredScope.ByPath[m.FullName])))
        {
            await ExpectAsync(path, null, StatusCode.Unauthenticated);
            await ExpectAsync(path, "a token that nobody gave out", StatusCode.Unauthenticated);
            await ExpectAsync(path, Expired, StatusCode.Unauthenticated);
            await ExpectAsync(path, Revoked, StatusCode.Unauthenticated);
            foreach (var (token, scope) in Tokens)
            {
                if (needed is Scope.Attempt or Scope.Enrollment)
                    await ExpectAsync(path, token, StatusCode.Unauthenticated);
                else if (!Admitted[needed].Contains(scope))
                    await ExpectAsync(path, token, StatusCode.PermissionDenied);
                else if (await CallAsync(path, token) is StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Internal)
                    wrong.Add($"{path} does not admit {scope}");
            }
        }

        wrong.ShouldBeEmpty();

        async Task ExpectAsync(string path, string? token, StatusCode expected)
        {
            var status = await CallAsync(path, token);
            if (status != expected)
                wrong.Add($"{path} with '{token}' gives {status}, not {expected}");
        }
    }

    [Fact]
    public async Task EachRpcOfNodes_AdmitsANodesOwnTokenInItsOwnNameOnly()
    {
        var (own, other) = (Guid.NewGuid(), Guid.NewGuid());
        const string OwnToken = "the-own-token-of-one-node";
        await Scheduler.AddTokenAsync(OwnToken, "nodes", Scope.Node, node: own);
        var wrong = new List<string>();
        var rpcs = AgentRegistryService.Descriptor.Methods.Where(method => RequiredScope.Of(method) == Scope.Node).ToList();

        rpcs.Count.ShouldBeGreaterThan(3);
        foreach (var rpc in rpcs)
        {
            rpc.IsClientStreaming.ShouldBeFalse(rpc.FullName);
            await ExpectAsync(rpc, OwnToken, own, isAdmitted: true);
            await ExpectAsync(rpc, OwnToken, other, isAdmitted: false);
            await ExpectAsync(rpc, OwnToken, null, isAdmitted: false);
            await ExpectAsync(rpc, TestScheduler.NodeToken, own, isAdmitted: false);
            await ExpectAsync(rpc, TestScheduler.NodeToken, other, isAdmitted: true);
        }

        wrong.ShouldBeEmpty();

        async Task ExpectAsync(MethodDescriptor rpc, string token, Guid? node, bool isAdmitted)
        {
            var request = rpc.InputType.Parser.ParseFrom([]);
            rpc.InputType.FindFieldByName(ScopeInterceptor.NodeField).Accessor.SetValue(request, node?.ToString() ?? "");
            var status = await CallAsync($"/{rpc.Service.FullName}/{rpc.Name}", token, request.ToByteArray());
            if (status is StatusCode.Unauthenticated or StatusCode.Internal || isAdmitted == (status == StatusCode.PermissionDenied))
                wrong.Add($"{rpc.Name} of node {(node == own ? "own" : node == other ? "other" : "none")} with {token} gives {status}");
        }
    }

    [Fact]
    public async Task EachRpcOfAttempts_IsRefusedToAnotherAttempt_AndToOneThatIsForged()
    {
        var (one, other) = (await Scheduler.RunAsync("scope-one"), await Scheduler.RunAsync("scope-other"));
        var forged = AttemptSecret.Make();
        var wrong = new List<string>();

        foreach (var rpc in AttemptService.Descriptor.Methods)
        {
            var path = $"/{rpc.Service.FullName}/{rpc.Name}";
            foreach (var (job, attempt, secret) in new[]
            {
                (one.Job, 1, other.Secret), (other.Job, 1, one.Secret), (one.Job, 2, one.Secret), (one.Job, 1, forged),
                ($"{Guid.NewGuid()}", 1, one.Secret), (one.Job, 1, TestScheduler.AdminToken), (one.Job, 1, TestScheduler.NodeToken),
            })
            {
                var invoker = new WithMetadata(Scheduler.As(secret), new Metadata
                {
                    { CallMetadata.Job, job }, { CallMetadata.Attempt, $"{attempt}" }, { CallMetadata.Rank, "0" },
                });
                if (await CallAsync(invoker, path, []) is not StatusCode.Unauthenticated and var status)
                    wrong.Add($"{rpc.Name} of attempt {attempt} of {job} with {secret} gives {status}");
            }
        }

        wrong.ShouldBeEmpty();
    }

    [Fact]
    public async Task EachRoute_IsRefusedOverHttpAsOverGrpc()
    {
        using var http = Scheduler.Browser();
        var wrong = new List<string>();
        var rpcs = RequiredScope.Services().SelectMany(service => service.Methods)
            .Select(method => (method, Rule: method.GetOptions()?.GetExtension(AnnotationsExtensions.Http)))
            .Where(rpc => rpc.Rule is not null).ToList();

        rpcs.Count.ShouldBeGreaterThan(20);
        foreach (var (method, rule) in rpcs)
        {
            var (verb, path) = rule!.PatternCase switch
            {
                HttpRule.PatternOneofCase.Get => (HttpMethod.Get, rule.Get),
                HttpRule.PatternOneofCase.Post => (HttpMethod.Post, rule.Post),
                HttpRule.PatternOneofCase.Put => (HttpMethod.Put, rule.Put),
                HttpRule.PatternOneofCase.Delete => (HttpMethod.Delete, rule.Delete),
                _ => (HttpMethod.Patch, rule.Patch),
            };
            foreach (var (token, expected) in new[]
            {
                (null, HttpStatusCode.Unauthorized), ("a token that nobody gave out", HttpStatusCode.Unauthorized),
                (TestScheduler.NodeToken, HttpStatusCode.Forbidden),
            })
            {
                using var request = new HttpRequestMessage(
                    verb, string.Concat(path.Split('{', '}').Select((part, i) => i % 2 == 0 ? part : "0123")));
                if (token is not null)
                    request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}");
                if (rule.Body.Length > 0)
                    request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
                using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
                if (answer.StatusCode != expected)
                    wrong.Add($"{method.Name} with '{token}' gives {answer.StatusCode}, not {expected}");
            }
        }

        wrong.ShouldBeEmpty();
    }

    [Fact]
    public async Task AttemptsCall_WithoutItsMetadata_OrWithAnothersSecret_IsUnauthenticated_AndAfterItsEnd_Aborted()
    {
        var trainer = await Scheduler.RunAsync("scope-node");
        var report = new ReportRequest { Sequence = 100 };

        (await Should.ThrowAsync<RpcException>(
            async () => await new AttemptService.AttemptServiceClient(Scheduler.As("secret")).ReportAsync(report)))
            .ShouldSatisfyAllConditions(
                refusal => refusal.StatusCode.ShouldBe(StatusCode.Unauthenticated),
                refusal => refusal.Status.Detail.ShouldContain(CallMetadata.Job));
        (await Should.ThrowAsync<RpcException>(async () => await trainer.Client("another secret").ReportAsync(report)))
            .StatusCode.ShouldBe(StatusCode.Unauthenticated);
        await trainer.Client().ReportAsync(report);

        await trainer.ExitAsync();

        (await Should.ThrowAsync<RpcException>(async () => await trainer.Client().ReportAsync(report)))
            .StatusCode.ShouldBe(StatusCode.Aborted);
    }

    // An empty message is an empty request of any RPC; none of them does anything with it.
    private Task<StatusCode> CallAsync(string path, string? token, byte[]? request = null) =>
        CallAsync(token is null ? Scheduler.Channel.CreateCallInvoker() : Scheduler.As(token), path, request ?? []);

    private static async Task<StatusCode> CallAsync(CallInvoker invoker, string path, byte[] request)
    {
        var parts = path.Split('/');
        var method = new Method<byte[], byte[]>(MethodType.Unary, parts[1], parts[2], Bytes, Bytes);
        try
        {
            await invoker.AsyncUnaryCall(method, null, new CallOptions(cancellationToken: TestContext.Current.CancellationToken), request);
            return StatusCode.OK;
        }
        catch (RpcException refusal)
        {
            return refusal.StatusCode;
        }
    }
}
