using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api;

[Collection(typeof(ApiTests))]
public sealed class SubmitJobTests(SharedScheduler shared)
{
    private const string Yaml = """
        name: from-a-file
        model: lenet5
        data: fashion-mnist
        resources:
          devices: 1
          deviceKind: cpu
          nodeLabels:
            only: nowhere
        """;

    private JobService.JobServiceClient Jobs => shared.Scheduler.Jobs();

    [Fact]
    public async Task Submit_OfAFile_StoresWhatItSaysWithEveryDefault()
    {
        var submitted = (await Jobs.SubmitJobAsync(Request(yaml: Yaml))).Job;

        submitted.State.ShouldBe(JobState.Queued);
        submitted.Owner.ShouldBe("alice");
        var stored = await Jobs.GetJobAsync(new GetJobRequest { JobId = submitted.Id });
        stored.Job.Spec.Name.ShouldBe("from-a-file");
        stored.Job.Spec.Hyperparameters.Optimizer.LearningRate.ShouldBeGreaterThan(0);
        stored.Events.ShouldHaveSingleItem().ToState.ShouldBe(JobState.Queued);
    }

    [Fact]
    public async Task Submit_OfASpec_StoresIt()
    {
        var spec = Unplaceable();

        var submitted = (await Jobs.SubmitJobAsync(Request(spec: spec))).Job;

        submitted.Spec.ShouldBe(JobSpecValidator.Complete(spec));
    }

    [Fact]
    public async Task Submit_TwentyTimesAtOnceUnderOneRequestId_MakesOneJob_AndAnotherOwnersIsAnotherJob()
    {
        var request = Request(spec: Unplaceable());

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Jobs.SubmitJobAsync(request).ResponseAsync));
        var others = await shared.Scheduler.Jobs(TestScheduler.OtherSubmitterToken).SubmitJobAsync(request);

        var id = answers.Select(answer => answer.Job.Id).Distinct().ShouldHaveSingleItem();
        others.Job.Id.ShouldNotBe(id);
        (await shared.Scheduler.QueryAsync($"select count(*) from jobs where request_id = '{request.RequestId}'")).ShouldBe(2L);
    }

    [Fact]
    public async Task Submit_WithoutARequestId_OrWithOneThatCannotBeKept_IsInvalid()
    {
        await RefusedAsync(new SubmitJobRequest { Yaml = Yaml }, StatusCode.InvalidArgument, "request_id is empty");
        await RefusedAsync(new SubmitJobRequest { Yaml = Yaml, RequestId = new string('x', 3000) }, StatusCode.InvalidArgument,
            "request_id has 3000 characters");
        await RefusedAsync(new SubmitJobRequest { Yaml = Yaml, RequestId = "a\0b" }, StatusCode.InvalidArgument, "U+0000");
    }

    [Fact]
    public async Task Submit_OfNothing_SaysWhatToSet() => await RefusedAsync(Request(), StatusCode.InvalidArgument, "set yaml or spec");

    [Fact]
    public async Task Submit_OfWhatTheClusterCanNeverRun_FailsAndSaysWhy_AndIsQueuedIfItMayWait()
    {
        await shared.Scheduler.AddNodeAsync("submit-node");
        var request = Request(spec: JobSpecBuilder.AJob().WithDevices(512).With(s => s.Hyperparameters.GlobalBatchSize = 512).Build());
        request.WaitForCapacity = false;

        await RefusedAsync(request, StatusCode.FailedPrecondition, "512");
        request.WaitForCapacity = true;
        (await Jobs.SubmitJobAsync(request)).Job.State.ShouldBe(JobState.Queued);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(10)]
    public async Task Submit_OfAFileOfMegabytes_IsResourceExhausted(int megabytes) =>
        await RefusedAsync(Request(yaml: Yaml + "# " + new string('x', megabytes << 20)), StatusCode.ResourceExhausted, "");

    [Fact]
    public async Task Submit_OfAFileWithAFault_NamesLineFieldValueAndRemedy()
    {
        await RefusedAsync(Request(yaml: Yaml.Replace("devices: 1", "devices: 0")), StatusCode.InvalidArgument, "line 5",
            "resources.devices is 0", "use 1 or more");
        await RefusedAsync(Request(yaml: Yaml.Replace("lenet5", "lenet6")), StatusCode.InvalidArgument, "lenet6", "did you mean lenet5?");
        await RefusedAsync(Request(spec: JobSpecBuilder.AJob().With(s => s.Name = "a\0b").Build()), StatusCode.InvalidArgument, "name is");
    }

    [Fact]
    public async Task Preview_SaysWhatASubmitWould_AndStoresNothing()
    {
        var node = $"preview-{Guid.NewGuid():N}";
        await shared.Scheduler.AddNodeAsync(node);
        var yaml = $"model: lenet5\ndata: fashion-mnist\nresources: {{deviceKind: cpu, nodeLabels: {{only: {node}}}}}\n";
        var before = await shared.Scheduler.QueryAsync("select count(*) from jobs");

        var preview = await Jobs.PreviewJobAsync(new PreviewJobRequest { Yaml = yaml });
        var refusal = await Should.ThrowAsync<RpcException>(async () => await Jobs.PreviewJobAsync(
            new PreviewJobRequest { Yaml = yaml.Replace("deviceKind: cpu", "devices: 9", StringComparison.Ordinal) }));

        preview.Start.Placement.ShouldHaveSingleItem().NodeName.ShouldBe(node);
        preview.Spec.Hyperparameters.Epochs.ShouldBe(10);
        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        (await shared.Scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(before);
    }

    [Fact]
    public async Task Validate_SaysWhatSubmitWould_AndStoresNothing()
    {
        var jobs = shared.Scheduler.Jobs(TestScheduler.ViewerToken);
        var before = await shared.Scheduler.QueryAsync("select count(*) from jobs");

        await shared.Scheduler.AddNodeAsync("validating-node");
        var placeable = Yaml.Replace("nowhere", "validating-node");

        (await jobs.ValidateJobAsync(new ValidateJobRequest { Yaml = placeable })).Spec.Hyperparameters.Epochs.ShouldBeGreaterThan(0);
        var infeasible = await Should.ThrowAsync<RpcException>(
            async () => await jobs.ValidateJobAsync(new ValidateJobRequest { Yaml = Yaml }));
        var fault = await Should.ThrowAsync<RpcException>(
            async () => await jobs.ValidateJobAsync(new ValidateJobRequest { Yaml = "modle: lenet5" }));
        var nothing = await Should.ThrowAsync<RpcException>(async () => await jobs.ValidateJobAsync(new ValidateJobRequest()));

        infeasible.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        fault.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        fault.Status.Detail.ShouldContain("modle");
        nothing.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        (await shared.Scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(before);
    }

    private static JobSpec Unplaceable() => JobSpecBuilder.AJob().With(s => s.Resources.NodeLabels["only"] = "nowhere").Build();

    private static SubmitJobRequest Request(string? yaml = null, JobSpec? spec = null)
    {
        var request = new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), WaitForCapacity = true };
        if (yaml is not null)
            request.Yaml = yaml;
        if (spec is not null)
            request.Spec = spec;
        return request;
    }

    private async Task RefusedAsync(SubmitJobRequest request, StatusCode status, params string[] said)
    {
        var refusal = await Should.ThrowAsync<RpcException>(async () => await Jobs.SubmitJobAsync(request));
        refusal.StatusCode.ShouldBe(status, refusal.Status.Detail);
        foreach (var part in said)
            refusal.Status.Detail.ShouldContain(part);
    }
}
