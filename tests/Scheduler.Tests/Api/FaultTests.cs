using Cluster.Contracts.V1;
using Cluster.Scheduler.Api;
using Cluster.Scheduler.Tests.Fixtures;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Cluster.Scheduler.Tests.Api;

[Collection(typeof(ApiTests))]
public sealed class FaultTests(SharedScheduler shared)
{
    [Fact]
    public async Task UnexpectedException_IsInternalWithoutItsMessage_AndLoggedOnce()
    {
        var job = await shared.Scheduler.SubmitWaitingAsync();
        var before = Errors().Count;
        RpcException answer;
        await shared.Scheduler.ExecuteAsync("alter table checkpoints rename to elsewhere");
        try
        {
            answer = await Should.ThrowAsync<RpcException>(
                async () => await shared.Scheduler.Runs().ListCheckpointsAsync(new ListCheckpointsRequest { JobId = job.Id }));
        }
        finally
        {
            await shared.Scheduler.ExecuteAsync("alter table elsewhere rename to checkpoints");
        }

        answer.StatusCode.ShouldBe(StatusCode.Internal);
        answer.Status.Detail.ShouldBe("/cluster.v1.RunService/ListCheckpoints failed inside the scheduler; its log says why");
        var logged = Errors().Skip(before).Where(entry =>
            entry.Category != "Microsoft.EntityFrameworkCore.Query" && entry.Category != "Microsoft.EntityFrameworkCore.Database.Command")
            .ShouldHaveSingleItem();
        logged.Category.ShouldBe(typeof(ErrorInterceptor).FullName);
        logged.Message.ShouldBe("/cluster.v1.RunService/ListCheckpoints failed");
        logged.Exception!.GetBaseException().ShouldBeOfType<PostgresException>().MessageText.ShouldContain("checkpoints");
    }

    private List<LogEntry> Errors() => [.. shared.Scheduler.Log.Entries.Where(entry => entry.Level >= LogLevel.Error)];
}
