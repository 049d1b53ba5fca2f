using Cluster.Contracts.V1;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Models;

/// <summary>Pictures of a job's data, asked of a node that has it.</summary>
public sealed class SampleInquiryTests(PostgresServer postgres)
{
    [Fact]
    public async Task Samples_AreAskedOfANodeThatHasTheData_AndWhyThereAreNoneIsSaid()
    {
        await using var scheduler = await TestScheduler.StartAsync(postgres);
        var job = await scheduler.SubmitWaitingAsync();
        var data = new DataService.DataServiceClient(scheduler.As(TestScheduler.ViewerToken));
        var ask = new SampleJobRequest { JobId = job.Id, Epoch = 2, Count = 7 };

        (await RefusedAsync(ask)).Detail.ShouldBe("no node that is ready has the data fashion-mnist");
        await scheduler.AddNodeAsync("node");
        scheduler.Agents.OnDescribe = (_, request) => Task.FromResult(Answer(request, new ModelAnswer { Fault = "no such file" }));
        (await RefusedAsync(ask)).Detail.ShouldBe("node node gave no answer (no such file)");
        var picture = new DataSample { ClassName = "shoe", Pixels = ByteString.CopyFrom(1, 2) };
        scheduler.Agents.OnDescribe = (_, request) =>
            Task.FromResult(Answer(request, new ModelAnswer { Samples = new DataSamples { Samples = { picture } } }));

        var answer = await data.SampleJobAsync(ask, cancellationToken: TestContext.Current.CancellationToken);
        answer.Samples.Samples.ShouldHaveSingleItem().ShouldBe(picture);

        var asked = scheduler.Agents.Descriptions.Last(request => request.Samples is not null).Samples;
        (asked.Data, asked.Epoch, asked.Count, asked.InputSize).ShouldBe((job.Spec.Data, 2, 7, 28));
        (await RefusedAsync(new SampleJobRequest { JobId = job.Id, Count = 65 })).StatusCode.ShouldBe(StatusCode.InvalidArgument);
        (await RefusedAsync(new SampleJobRequest { JobId = job.Id, Epoch = -1 })).StatusCode.ShouldBe(StatusCode.InvalidArgument);

        async Task<Status> RefusedAsync(SampleJobRequest request) =>
            (await Should.ThrowAsync<RpcException>(() => data.SampleJobAsync(request).ResponseAsync)).Status;
    }

    // Others ask the same agents what memory jobs take.
    private static DescribeResult Answer(DescribeModelsRequest request, ModelAnswer samples) => request.Samples is null
        ? DescribeResult.None("it builds no models")
        : DescribeResult.Of(new DescribeModelsResponse { Answers = { samples } });
}
