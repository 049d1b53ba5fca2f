using System.Collections.Concurrent;
using System.Diagnostics;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Access;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace Cluster.Scheduler.Tests.Api;

/// <summary>
/// Every RPC of the scheduler, found by its descriptor, with messages that nobody would send: each is done or refused with a status that
/// tells the caller of a mistake, and never Internal or Unknown, which would be the scheduler's.
/// </summary>
public sealed class RpcFuzzTests(PostgresServer postgres)
{
    // At a time; a scheduler has many callers.
    private const int Callers = 8;

    // With one trainer, whose attempt a message may well end.
    private const int CallsATrainer = 250;

    // What tests log and the pools of connections and buffers take; a leak of a kilobyte a call shows in the long round.
    private const long MostGrowth = 64L << 20;

    // A call that answers once is hung when it has not in so long; a stream, and what waits for other ranks, is left after a moment.
    private static readonly TimeSpan Hung = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(300);

    // Agents serve these: AgentFuzzTests.
    private static readonly string[] Elsewhere = [AgentService.Descriptor.Name, LocalAgentService.Descriptor.Name];

    private static readonly MethodDescriptor[] Methods =
        [.. RequiredScope.Services().Where(service => !Elsewhere.Contains(service.Name)).SelectMany(service => service.Methods)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public Task Calls_WithWhateverMessage_AreDoneOrRefused() => FuzzAsync(calls: 500, seed: 1);

    [Fact]
    [Trait("Round", "full")]
    public Task ManyCalls_WithWhateverMessage_AreDoneOrRefused() => FuzzAsync(calls: 10_000, seed: 1_000_000);

    [Fact]
    public async Task EveryRpc_ThatTheSchedulerServes_IsCalled()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var served = scheduler.Get<EndpointDataSource>().Endpoints
            .Select(endpoint => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method).OfType<IMethod>()
            // Health and reflection are Grpc.AspNetCore's own.
            .Where(method => !ScopeInterceptor.OpenServices.Contains(method.ServiceName)).Select(method => method.FullName).Distinct();

        Methods.Select(method => $"/{method.Service.FullName}/{method.Name}").Order().ShouldBe(served.Order());
    }

    private async Task FuzzAsync(int calls, int seed)
    {
        await using var scheduler = await TestScheduler.StartAsync(
            postgres, ("Models:ForecastPatience", "00:00:01"), ("Limits:JobsPerOwner", "2000"));
        var statuses = new ConcurrentDictionary<StatusCode, int>();
        var complaints = new ConcurrentQueue<string>();
        var called = new ConcurrentDictionary<MethodDescriptor, int>();
        var clock = Stopwatch.StartNew();
        var held = 0L;
        TestTrainer? trainer = null;
        for (var begin = 0; begin < calls; begin += CallsATrainer)
        {
            trainer = await NextTrainerAsync(scheduler, $"node-{begin}") ?? trainer.ShouldNotBeNull();
            var (known, samples) = (await KnownAsync(scheduler, trainer), Samples(begin));
            await Parallel.ForEachAsync(
                Enumerable.Range(begin, CallsATrainer),
                new ParallelOptions { MaxDegreeOfParallelism = Callers, CancellationToken = Token },
                async (call, _) =>
                {
                    var fuzzer = new MessageFuzzer(new Random(seed + call), known, samples);
                    var method = Methods[call % Methods.Length];
                    called.AddOrUpdate(method, 1, (_, count) => count + 1);
                    var (status, complaint) = await CallAsync(scheduler, trainer, method, fuzzer);
                    if (complaint is not null)
                        complaints.Enqueue($"seed {seed + call}: {method.FullName} ends as {complaint}");
                    statuses.AddOrUpdate(status, 1, (_, count) => count + 1);
                });
            // After the first quarter, in which pools are filled.
            if (held == 0 && begin >= calls / 4)
                held = GC.GetTotalMemory(forceFullCollection: true);
        }

        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{statuses.Values.Sum()} calls of {Methods.Length} RPCs in {clock.Elapsed.TotalSeconds:F0} s: "
            + string.Join(", ", statuses.OrderBy(each => each.Key).Select(each => $"{each.Value} {each.Key}")));
        scheduler.Log.Entries
            .Where(entry => entry.Level >= LogLevel.Error && entry.Category == typeof(ErrorInterceptor).FullName)
            .Select(entry => $"{entry.Message}: {entry.Exception}").ToHashSet().ShouldBeEmpty();
        complaints.ShouldBeEmpty();
        Methods.ShouldAllBe(method => called[method] >= calls / Methods.Length);
        // Messages that were all refused at the door, or none, would say little of what is behind it.
        statuses.GetValueOrDefault(StatusCode.OK).ShouldBeGreaterThan(calls / 50);
        statuses.GetValueOrDefault(StatusCode.InvalidArgument).ShouldBeGreaterThan(calls / 20);
        await scheduler.Jobs().ListJobsAsync(new ListJobsRequest { PageSize = 1 });
        (GC.GetTotalMemory(forceFullCollection: true) - held).ShouldBeLessThan(MostGrowth);
    }

    /// <returns>Null where what was made before keeps its job from starting, such as a queue that is owed nothing.</returns>
    private static async Task<TestTrainer?> NextTrainerAsync(TestScheduler scheduler, string name)
    {
        await new QueueService.QueueServiceClient(scheduler.As(TestScheduler.AdminToken))
            .UpdateQueueAsync(new UpdateQueueRequest { Queue = new Queue { Name = "default" } });
        // More than jobs that were made before will take.
        var node = await scheduler.AddNodeAsync(name, devices: 300);
        var spec = JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = name).Build();
        var submit = new SubmitJobRequest { RequestId = name, Spec = spec };
        // An operator's: the workspace may have been closed meanwhile.
        var job = (await scheduler.Jobs(TestScheduler.OperatorToken).SubmitJobAsync(submit)).Job;
        try
        {
            return await scheduler.TrainAsync(node, job.Id, attempt: 1).WaitAsync(Hung, Token);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    /// <returns>With words where the status is not the caller's fault.</returns>
    private static async Task<(StatusCode Status, string? Complaint)> CallAsync(
        TestScheduler scheduler, TestTrainer trainer, MethodDescriptor method, MessageFuzzer fuzzer)
    {
        var message = fuzzer.Make(method.InputType);
        var sent = fuzzer.Bytes(message);
        var invoker = RequiredScope.Of(method) switch
        {
            Scope.Attempt => new WithMetadata(scheduler.As(trainer.Secret), new Metadata
            {
                { CallMetadata.Job, trainer.Job }, { CallMetadata.Attempt, $"{trainer.Attempt}" }, { CallMetadata.Rank, "0" },
            }),
            Scope.Node => scheduler.As(TestScheduler.NodeToken),
            _ => scheduler.As(TestScheduler.AdminToken),
        };
        var mayWait = method.IsServerStreaming || RequiredScope.Of(method) == Scope.Attempt;
        try
        {
            var deadline = DateTime.UtcNow + (mayWait ? Moment : Hung);
            await RawCall.MakeAsync(invoker, method, sent, new CallOptions(deadline: deadline, cancellationToken: Token));
            return (StatusCode.OK, null);
        }
        catch (RpcException end)
        {
            var isExcused = end.StatusCode switch
            {
                StatusCode.Internal or StatusCode.Unknown => !RawCall.IsMessage(method.InputType, sent),
                StatusCode.DeadlineExceeded => mayWait,
                StatusCode.Unimplemented or StatusCode.DataLoss => false,
                _ => true,
            };
            return (end.StatusCode, isExcused ? null : $"{end.Status} at {message}");
        }
    }

    private static async Task<IReadOnlyList<string>> KnownAsync(TestScheduler scheduler, TestTrainer trainer)
    {
        var jobs = await scheduler.Jobs().ListJobsAsync(new ListJobsRequest { PageSize = 5 });
        var nodes = await scheduler.Nodes().ListNodesAsync(new ListNodesRequest());
        const string Job = "model: lenet5\ndata: fashion-mnist\nresources: {devices: 1, deviceKind: cpu}\n";
        return
        [
            trainer.Job, trainer.Job, trainer.Job[..8], .. jobs.Jobs.Select(job => job.Id), jobs.NextPageToken,
            .. nodes.Nodes.Take(5).Select(node => node.Id), .. nodes.Nodes.Take(2).Select(node => node.Name), $"{Guid.NewGuid()}",
            "default", "lenet5", "fashion-mnist", "collectives", "sgd", "train.loss",
            Job, Job + "matrix: {seed: [1, 2]}\n", Job + "array: 1-3\n",
            Job + "searcher: {name: random, maxTrials: 2}\nhyperparameters: {optimizer: {learningRate: "
                + "{type: log, minval: -4, maxval: -1, base: 10}}}\n",
        ];
    }

    private static IReadOnlyList<IMessage> Samples(int number) =>
    [
        JobSpecBuilder.AJob().With(spec => spec.Resources.NodeLabels["only"] = "nowhere").Build(),
        new RegisterRequest
        {
            NodeId = Guid.NewGuid().ToString(),
            Name = $"fuzzed-{number}",
            AgentAddress = "http://fuzzed:7071",
            AgentSecret = "agent secret",
            Incarnation = "1",
            AgentVersion = "test",
            DataSets = { "fashion-mnist" },
            Devices = { new Device { Id = "cpu:0", Kind = DeviceKind.Cpu, Cores = 1, MemoryBytes = 1 << 30 } },
        },
        new ReportRequest
        {
            Sequence = 1000 + number,
            Points = { new MetricPoint { Name = "train.loss", Step = 1, Value = 1 } },
            Progress = new Progress { Step = 1, Steps = 10 },
        },
        new AppendLogsRequest { AgentSequence = 1, Attempt = 1, Lines = { new LogLine { Text = "line" } } },
        Chunks.Of((byte)number),
        new ModelSpec { Name = "lenet5" },
    ];
}
