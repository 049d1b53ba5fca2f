using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Tests.Shared;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Worker.Tests.Agent;

/// <summary>Every RPC of the agent, found by its descriptor, is refused to who is not the one that it is for.</summary>
public sealed class WrongIdentityTests : AgentTest
{
    [Fact]
    public async Task EachOrder_WithoutTheAgentsSecret_IsUnauthenticated()
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        var launch = RunningAgent.ALaunch();
        await agent.LaunchAsync(launch, End);
        var wrong = new List<string>();

        foreach (var method in AgentService.Descriptor.Methods)
        {
            foreach (var secret in new[] { null, "", "a guess", launch.AttemptSecret, FakeScheduler.NodeToken })
            {
                var headers = secret is null ? [] : new Metadata { { CallMetadata.Authorization, CallMetadata.Bearer(secret) } };
                if (await StatusAsync(agent.Invoker, method, headers) is not StatusCode.Unauthenticated and var status)
                    wrong.Add($"{method.FullName} with '{secret}' gives {status}");
            }
        }

        wrong.ShouldBeEmpty();
    }

    [Fact]
    public async Task EachCallOfATrainer_ByAnotherThanItsRank_IsRefused()
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        using var channel = agent.ChannelOfTrainers();
        var (one, other) = (RunningAgent.ALaunch(), RunningAgent.ALaunch());
        other.Ranks[0].Device = "cpu:1";
        other.AttemptSecret = "another-attempts-secret";
        await agent.LaunchAsync(one, End);
        await agent.LaunchAsync(other, End);
        var wrong = new List<string>();

        foreach (var method in LocalAgentService.Descriptor.Methods.Concat(AttemptService.Descriptor.Methods))
        {
            foreach (var (job, attempt, rank, secret, expected) in new[]
            {
                (one.JobId, "1", "0", "a guess", StatusCode.Unauthenticated),
                (one.JobId, "1", "0", other.AttemptSecret, StatusCode.Unauthenticated),
                (one.JobId, "1", "0", agent.Registration.AgentSecret, StatusCode.Unauthenticated),
                (one.JobId, "1", "1", one.AttemptSecret, StatusCode.Unauthenticated),
                (one.JobId, "1", "none", one.AttemptSecret, StatusCode.Unauthenticated),
                (one.JobId, "2", "0", one.AttemptSecret, StatusCode.Aborted),
                ($"{Guid.NewGuid()}", "1", "0", one.AttemptSecret, StatusCode.Aborted),
            })
            {
                var headers = new Metadata
                {
                    { CallMetadata.Authorization, CallMetadata.Bearer(secret) }, { CallMetadata.Job, job },
                    { CallMetadata.Attempt, attempt }, { CallMetadata.Rank, rank },
                };
                if (await StatusAsync(channel.CreateCallInvoker(), method, headers) is var status && status != expected)
                    wrong.Add($"{method.FullName} of rank {rank} of attempt {attempt} of {job} with {secret} gives {status}");
            }

            if (await StatusAsync(channel.CreateCallInvoker(), method, []) is not StatusCode.Unauthenticated and var end)
                wrong.Add($"{method.FullName} without metadata gives {end}");
        }

        wrong.ShouldBeEmpty();
    }

    [Fact]
    public async Task UploadOfNothing_ByNobody_IsRefusedBeforeItIsRead()
    {
        await using var agent = await RunningAgent.StartAsync(Scheduler, RunningAgent.Waiting, End);
        using var channel = agent.ChannelOfTrainers();
        using var upload = new AttemptService.AttemptServiceClient(channel).PutChunks(cancellationToken: End);
        await upload.RequestStream.CompleteAsync();

        (await Should.ThrowAsync<RpcException>(async () => await upload.ResponseAsync)).StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }

    private async Task<StatusCode> StatusAsync(CallInvoker invoker, MethodDescriptor method, Metadata headers)
    {
        try
        {
            await RawCall.MakeAsync(invoker, method, [], new CallOptions(headers, cancellationToken: End));
            return StatusCode.OK;
        }
        catch (RpcException refusal)
        {
            return refusal.StatusCode;
        }
    }
}
