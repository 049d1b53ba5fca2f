using Cluster.Contracts.V1;

namespace Cluster.Contracts.Tests;

public sealed class JobStatesTests
{
    private static readonly JobState[] All = [.. Enum.GetValues<JobState>().Where(state => state != JobState.Unspecified)];

    [Fact]
    public void CanBecome_FromAFinalState_NothingMore()
    {
        foreach (var from in All.Where(state => state.IsFinal()))
            All.Any(to => from.CanBecome(to)).ShouldBeFalse(from.Word());
    }

    [Fact]
    public void CanBecome_Cancelled_FromAnyStateThatIsNotFinal()
    {
        All.Where(from => from.CanBecome(JobState.Cancelled)).ShouldBe(All.Where(from => !from.IsFinal()));
    }

    [Fact]
    public void CanBecome_QueuedAgain_FromTheFourThatTheDesignNames()
    {
        All.Where(from => from.CanBecome(JobState.Queued))
            .ShouldBe([JobState.Paused, JobState.Starting, JobState.Running, JobState.Stopping]);
    }

    [Fact]
    public void CanBecome_Paused_AtOnceWhereItOnlyWaits_AndElseOnceItsTrainersHaveEnded() =>
        All.Where(from => from.CanBecome(JobState.Paused)).ShouldBe([JobState.Queued, JobState.Running, JobState.Stopping]);

    [Fact]
    public void HoldsDevices_InNoStateThatIsFinalOrWaits()
    {
        All.Where(state => state.HoldsDevices()).ShouldBe([JobState.Starting, JobState.Running, JobState.Stopping]);
    }

    [Theory]
    [InlineData(TrainerExit.Done, 0, false)]
    [InlineData(TrainerExit.Stopped, 0, false)]
    [InlineData(TrainerExit.Misconfigured, 0, false)]
    [InlineData(TrainerExit.OutOfMemory, 0, false)]
    [InlineData(1, 0, true)]
    [InlineData(0, 9, true)]
    [InlineData(TrainerExit.DataGone, 0, false)]
    public void TrainerExit_CallsForRestart_OnlyAfterAFailure(int exitCode, int signal, bool restart) =>
        TrainerExit.CallsForRestart(exitCode, signal).ShouldBe(restart);
}
