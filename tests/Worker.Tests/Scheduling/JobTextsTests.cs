using Cluster.Bench.Scheduling;
using Cluster.Contracts.JobFiles;

namespace Cluster.Worker.Tests.Scheduling;

public sealed class JobTextsTests
{
    [Fact]
    public void Job_AsksForOneDevice_OfItsPool()
    {
        var resources = JobFile.Parse(JobTexts.Job(JobTexts.Idle)).Resources;

        resources.Devices.ShouldBe(1);
        resources.NodeLabels.ShouldBe(new Dictionary<string, string> { [JobTexts.Label] = JobTexts.Idle });
    }

    [Fact]
    public void Experiment_IsOfAsManySuchJobs()
    {
        var members = ExperimentFile.Parse(JobTexts.Experiment(JobTexts.Busy)).Members;

        members.Length.ShouldBe(JobTexts.JobsOfAnExperiment);
        members.ShouldAllBe(member => member.Spec.Resources.NodeLabels[JobTexts.Label] == JobTexts.Busy);
    }
}
