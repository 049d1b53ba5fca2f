using Cluster.Contracts.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Cluster.EndToEnd.Tests;

/// <summary>What a person or a program is told when it asks for what cannot be.</summary>
public sealed class RefusalTests(LocalCluster cluster)
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("model: lenet6\ndata: fashion-mnist", "model", "lenet6", "lenet5")]
    [InlineData("model: lenet5\ndata: fashion-mnist\nresources: {devices: 0}", "resources.devices", "0", "1")]
    [InlineData("model: lenet5\ndata: fashion-mnist\nhyperparameters: {optimizer: {learningRate: -0.1}}",
        "hyperparameters.optimizer.learningRate", "-0.1", "0")]
    [InlineData("model: lenet5\ndata: [", "YAML", "", "")]
    [InlineData("model: lenet5\ndata: fashion-mnist\nresuorces: {devices: 1}", "resuorces", "", "resources")]
    public async Task BadJobFile_ExitsWith2AndOneLine_AndIsInvalidArgumentOverGrpc(string yaml, string field, string value, string remedy)
    {
        yaml = "name: bad\n" + yaml;
        var file = Path.Combine(cluster.State, "bad.yaml");
        await File.WriteAllTextAsync(file, yaml, Cancelled);

        var outcome = await cluster.RunAsync(["job", "submit", file], Cancelled);
        var status = (await Should.ThrowAsync<RpcException>(() => cluster.SubmitAsync(yaml, Cancelled))).Status;

        outcome.ExitCode.ShouldBe(2);
        outcome.Error.TrimEnd().Split('\n').ShouldHaveSingleItem();
        status.StatusCode.ShouldBe(StatusCode.InvalidArgument);
        foreach (var text in new[] { outcome.Error, status.Detail })
        {
            text.ShouldContain(field);
            text.ShouldContain(value);
            text.ShouldContain(remedy);
        }
    }

    [Fact]
    public async Task MoreDevicesThanExist_IsFailedPrecondition_UnlessTheJobMayWait()
    {
        var yaml = JobFiles.LeNet("too-large").Replace("devices: 2, maxDevicesPerNode: 1", "devices: 12", StringComparison.Ordinal);

        var status = (await Should.ThrowAsync<RpcException>(() => cluster.SubmitAsync(yaml, Cancelled))).Status;
        var waiting = (await cluster.Jobs.SubmitJobAsync(
            new SubmitJobRequest { RequestId = Guid.NewGuid().ToString(), Yaml = yaml, WaitForCapacity = true },
            cancellationToken: Cancelled)).Job;
        var why = await cluster.WaitAsync(
            waiting.Id, job => job.State == JobState.Queued && job.Reason.Contains("12", StringComparison.Ordinal), Cancelled);
        await cluster.Jobs.CancelJobAsync(new CancelJobRequest { JobId = waiting.Id }, cancellationToken: Cancelled);

        status.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        status.Detail.ShouldContain("12");
        why.Queue.Position.ShouldBe(1);
    }

    [Fact]
    public async Task FileOf10Megabytes_IsResourceExhausted()
    {
        var status = (await Should.ThrowAsync<RpcException>(() => cluster.SubmitAsync(new string('#', 10_000_000), Cancelled))).Status;

        status.StatusCode.ShouldBe(StatusCode.ResourceExhausted);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer not-a-token-of-this-cluster")]
    public async Task NoOrAWrongToken_IsUnauthenticated(string? authorization)
    {
        using var channel = GrpcChannel.ForAddress(cluster.GrpcAddress);
        var metadata = new Metadata();
        if (authorization is not null)
            metadata.Add("authorization", authorization);

        var client = new JobService.JobServiceClient(channel);
        var status = (await Should.ThrowAsync<RpcException>(
            async () => await client.ListJobsAsync(new ListJobsRequest(), metadata, cancellationToken: Cancelled))).Status;

        status.StatusCode.ShouldBe(StatusCode.Unauthenticated);
    }
}
