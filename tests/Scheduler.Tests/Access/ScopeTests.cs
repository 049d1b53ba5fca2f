using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;

namespace Cluster.Scheduler.Tests.Access;

[Collection(typeof(ApiTests))]
public sealed class ScopeTests(SharedScheduler shared)
{
    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(bytes => bytes, bytes => bytes);

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
            "cluster.v1.AgentRegistryService", "cluster.v1.AttemptService", "cluster.v1.CheckpointService", "cluster.v1.ExperimentService",
            "cluster.v1.JobService", "cluster.v1.ModelService", "cluster.v1.NodeService", "cluster.v1.QueueService",
            "cluster.v1.RunService", "cluster.v1.WebhookService",
        ]);
    }

    [Fact]
    public async Task EachRpc_AdmitsTheTokensOfItsScopeAndOfThoseAbove_AndNoOther()
    {
        var wrong = new List<string>();
        foreach (var (path, needed) in Mapped.Where(m => RequiredScope.ByPath.ContainsKey(m.FullName))
            .Select(m => (m.FullName, RequiredScope.ByPath[m.FullName])))
        {
            await ExpectAsync(path, null, StatusCode.Unauthenticated);
            await ExpectAsync(path, "a token that nobody gave out", StatusCode.Unauthenticated);
            foreach (var (token, scope) in Tokens)
            {
                if (needed == Scope.Attempt)
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

    private async Task<StatusCode> CallAsync(string path, string? token)
    {
        // An empty message is an empty request of any RPC; none of them does anything with it.
        var parts = path.Split('/');
        var method = new Method<byte[], byte[]>(MethodType.Unary, parts[1], parts[2], Bytes, Bytes);
        var invoker = token is null ? Scheduler.Channel.CreateCallInvoker() : Scheduler.As(token);
        try
        {
            await invoker.AsyncUnaryCall(method, null, new CallOptions(cancellationToken: TestContext.Current.CancellationToken), []);
            return StatusCode.OK;
        }
        catch (RpcException refusal)
        {
            return refusal.StatusCode;
        }
    }
}
