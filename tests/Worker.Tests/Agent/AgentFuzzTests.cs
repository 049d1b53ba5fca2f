using System.Diagnostics;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Worker.Tests.Agent;

/// <summary>
/// Every RPC of the agent, found by its descriptor, with messages that no scheduler and no trainer sends: each is done or refused as the
/// caller's mistake, and the agent goes on.
/// </summary>
public sealed class AgentFuzzTests : AgentTest
{
    // With one attempt, whose memory is then given back.
    private const int CallsAnAttempt = 100;

    // Of what a call of shared memory asks for: more than there is, or little; not what would fill the machine.
    private const long LittleMemory = 1 << 20;
    private const long MoreMemoryThanThereIs = 1L << 50;

    private static readonly MethodDescriptor[] Orders = [.. AgentService.Descriptor.Methods];

    private static readonly MethodDescriptor[] TrainersRpcs =
        [.. LocalAgentService.Descriptor.Methods, .. AttemptService.Descriptor.Methods];

    private readonly Dictionary<StatusCode, int> _statuses = [];

    // Many of the calls start a process.
    private protected override TimeSpan Patience => TimeSpan.FromMinutes(30);

    [Fact]
    public Task Orders_OfWhateverMessage_AreDoneOrRefused() => FuzzOrdersAsync(calls: 600, seed: 1);

    [Fact]
    [Trait("Round", "full")]
    public Task ManyOrders_OfWhateverMessage_AreDoneOrRefused() => FuzzOrdersAsync(calls: 6000, seed: 10_000);

    [Fact]
    public Task TrainersCalls_OfWhateverMessage_AreDoneOrRefused() => FuzzTrainersAsync(calls: 600, seed: 2);

    [Fact]
    [Trait("Round", "full")]
    public Task ManyTrainersCalls_OfWhateverMessage_AreDoneOrRefused() => FuzzTrainersAsync(calls: 6000, seed: 20_000);

    private async Task FuzzOrdersAsync(int calls, int seed)
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        var clock = Stopwatch.StartNew();
        for (var call = 0; call < calls; call++)
        {
            var (sample, method) = (RunningAgent.ALaunch(), Orders[call % Orders.Length]);
            var fuzzer = new MessageFuzzer(new Random(seed + call), [sample.JobId, "cpu:0", "cpu:1", "attempt-secret"], [sample]);
            var message = fuzzer.Make(method.InputType);
            await CallAsync(agent.Invoker, method, message, fuzzer.Bytes(message), agent.Options(End), seed + call);
            // What was launched ends, for the next to have the devices.
            if (message is LaunchRequest launch && Guid.TryParse(launch.JobId, out _))
                await agent.Client.StopAsync(new StopRequest { JobId = launch.JobId, Attempt = launch.Attempt }, agent.Options(End));
        }

        Told(calls, Orders.Length, clock.Elapsed);
    }

    private async Task FuzzTrainersAsync(int calls, int seed)
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        using var channel = agent.ChannelOfTrainers();
        var clock = Stopwatch.StartNew();
        LaunchRequest? launch = null;
        for (var call = 0; call < calls; call++)
        {
            if (launch is null || call % CallsAnAttempt == 0)
                launch = await NextAttemptAsync(agent, launch);
            var method = TrainersRpcs[call % TrainersRpcs.Length];
            var fuzzer = new MessageFuzzer(
                new Random(seed + call), [launch.JobId, "gradients", "train.loss", $"{Guid.NewGuid()}"],
                [new ReportRequest { Sequence = 1 + call, Points = { new MetricPoint { Name = "train.loss", Step = 1, Value = 1 } } }]);
            var message = fuzzer.Make(method.InputType);
            if (message is ReserveSharedMemoryRequest { Bytes: > LittleMemory and < MoreMemoryThanThereIs } reserve)
                reserve.Bytes %= LittleMemory;
            var headers = new Metadata
            {
                { CallMetadata.Authorization, CallMetadata.Bearer(launch.AttemptSecret) }, { CallMetadata.Job, launch.JobId },
                { CallMetadata.Attempt, $"{launch.Attempt}" }, { CallMetadata.Rank, $"{call % 2}" },
            };
            var sent = message is ReserveSharedMemoryRequest ? message.ToByteArray() : fuzzer.Bytes(message);
            await CallAsync(
                channel.CreateCallInvoker(), method, message, sent, new CallOptions(headers, cancellationToken: End), seed + call);
        }

        Told(calls, TrainersRpcs.Length, clock.Elapsed);
    }

    /// <param name="before">The one that gives up the devices.</param>
    private async Task<LaunchRequest> NextAttemptAsync(RunningAgent agent, LaunchRequest? before)
    {
        if (before is not null)
        {
            await agent.StopAsync(before, TimeSpan.Zero, "over", End);
            for (var rank = 0; rank < before.Ranks.Count; rank++)
                await Scheduler.Exits.Reader.ReadAsync(End);
        }

        var launch = RunningAgent.ALaunch(ranks: 2);
        await agent.LaunchAsync(launch, End);
        return launch;
    }

    private async Task CallAsync(
        CallInvoker invoker, MethodDescriptor method, IMessage message, byte[] sent, CallOptions options, int seed)
    {
        var status = Status.DefaultSuccess;
        try
        {
            // A trainer stays attached for as long as it lives.
            await RawCall.MakeAsync(invoker, method, sent, options, mostAnswers: method.Name == "Attach" ? 1 : int.MaxValue);
        }
        catch (RpcException refusal)
        {
            status = refusal.Status;
        }

        var isExcused = status.StatusCode switch
        {
            StatusCode.OK or StatusCode.InvalidArgument or StatusCode.NotFound or StatusCode.FailedPrecondition
                or StatusCode.ResourceExhausted => true,
            StatusCode.Internal or StatusCode.Unknown => !RawCall.IsMessage(method.InputType, sent),
            _ => false,
        };
        isExcused.ShouldBeTrue($"seed {seed}: {method.FullName} ends as {status} at {message}");
        _statuses[status.StatusCode] = _statuses.GetValueOrDefault(status.StatusCode) + 1;
    }

    private void Told(int calls, int rpcs, TimeSpan time)
    {
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{calls} calls of {rpcs} RPCs in {time.TotalSeconds:F0} s: "
            + string.Join(", ", _statuses.OrderBy(each => each.Key).Select(each => $"{each.Value} {each.Key}")));
        _statuses.GetValueOrDefault(StatusCode.OK).ShouldBeGreaterThan(calls / 20);
        (calls - _statuses.GetValueOrDefault(StatusCode.OK)).ShouldBeGreaterThan(calls / 20);
    }
}
