using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Worker.Agent;
using static Cluster.Worker.Tests.Agent.RunningAgent;

namespace Cluster.Worker.Tests.Agent;

/// <summary>What a job's failure policies look for in what its ranks write.</summary>
public sealed class LogPoliciesTests : AgentTest
{
    [Fact]
    public async Task Exit_SaysWhichPatternsWereFoundInWhatTheRankWrote()
    {
        await using var agent = await StartAsync(
            Scheduler, "case \"$*\" in *'--rank 1'*) echo 'CUDA error: 700'; echo 'loss is nan' >&2;; esac; exit 1", End);
        var launch = ALaunch(ranks: 2);
        launch.Spec.FailurePolicies.Add(
        [
            new FailurePolicy { Pattern = "^CUDA error", Action = FailureActions.ExcludeNode },
            new FailurePolicy { Pattern = "never written", Action = FailureActions.ExcludeNode },
            new FailurePolicy { Pattern = "(?i)loss is NaN", Action = FailureActions.StopRetrying },
        ]);

        await agent.LaunchAsync(launch, End);
        var exits = new[] { await Scheduler.Exits.Reader.ReadAsync(End), await Scheduler.Exits.Reader.ReadAsync(End) };

        exits.Single(exit => exit.Rank == 0).MatchedPolicies.ShouldBeEmpty();
        exits.Single(exit => exit.Rank == 1).MatchedPolicies.ShouldBe([1, 3]);
    }

    [Fact]
    public void Look_FindsEachPatternOfEachRankOnce()
    {
        var policies = new LogPolicies([new FailurePolicy { Pattern = "b" }, new FailurePolicy { Pattern = "a.c" }]);

        foreach (var line in new[] { "abc", "abc", "xbx" })
            policies.Look(7, line).ShouldBe(0);
        policies.Look(2, "b");

        policies.FoundOf(7).ShouldBe([1, 2]);
        policies.FoundOf(2).ShouldBe([1]);
        policies.FoundOf(0).ShouldBeEmpty();
    }
}
