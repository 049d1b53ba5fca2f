using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Grpc.Core;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Orders that no scheduler gives: each is done or refused as the caller's mistake, and the agent goes on.</summary>
public sealed class AgentFuzzTests : AgentTest
{
    [Fact]
    public Task Orders_OfWhateverMessage_AreDoneOrRefused() => FuzzAsync(orders: 300, seed: 1);

    [Fact]
    [Trait("Round", "full")]
    public Task ManyOrders_OfWhateverMessage_AreDoneOrRefused() => FuzzAsync(orders: 3000, seed: 1000);

    private async Task FuzzAsync(int orders, int seed)
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        var statuses = new Dictionary<StatusCode, int>();
        for (var order = 0; order < orders; order++)
        {
            var sample = RunningAgent.ALaunch();
            var fuzzer = new MessageFuzzer(new Random(seed + order), [sample.JobId, "cpu:0", "cpu:1", "attempt-secret"], [sample]);
            var (launch, stop) = (
                (LaunchRequest)fuzzer.Make(LaunchRequest.Descriptor), (StopRequest)fuzzer.Make(StopRequest.Descriptor));
            Count(await StatusAsync(() => agent.Client.LaunchAsync(launch, agent.Options(End)).ResponseAsync));
            Count(await StatusAsync(() => agent.Client.StopAsync(stop, agent.Options(End)).ResponseAsync));
            // What was launched ends, for the next to have the devices.
            if (Guid.TryParse(launch.JobId, out _))
                await agent.Client.StopAsync(new StopRequest { JobId = launch.JobId, Attempt = launch.Attempt }, agent.Options(End));

            void Count(Status status)
            {
                var code = status.StatusCode;
                (code is StatusCode.OK or StatusCode.InvalidArgument or StatusCode.FailedPrecondition or StatusCode.ResourceExhausted)
                    .ShouldBeTrue($"seed {seed + order}: {status} at {launch} and {stop}");
                statuses[code] = statuses.GetValueOrDefault(code) + 1;
            }
        }

        statuses.GetValueOrDefault(StatusCode.OK).ShouldBeGreaterThan(0);
        statuses.GetValueOrDefault(StatusCode.InvalidArgument).ShouldBeGreaterThan(orders / 4);
    }

    private static async Task<Status> StatusAsync(Func<Task> order)
    {
        try
        {
            await order();
            return Status.DefaultSuccess;
        }
        catch (RpcException refusal)
        {
            return refusal.Status;
        }
    }
}
