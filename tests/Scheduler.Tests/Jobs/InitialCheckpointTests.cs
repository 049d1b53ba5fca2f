using Cluster.Contracts;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Checkpoints;
using Cluster.Scheduler.Jobs;
using Cluster.Scheduler.Persistence;
using Cluster.Scheduler.Tests.Fixtures;
using static Cluster.Scheduler.Tests.Fixtures.JobSpecBuilder;

namespace Cluster.Scheduler.Tests.Jobs;

/// <summary>What a job begins with is settled when it is submitted, and kept until it has ended.</summary>
public sealed class InitialCheckpointTests(PostgresServer postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AJobsCheckpoint_IsPinnedAtSubmit_ByItsWholeId()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (_, source, checkpoints) = await TrainedAsync(cluster, 0.5, 0.9, 0.7);

        var best = await SubmitAsync(cluster, new InitFrom { Job = source.ToString()[..8], Which = CheckpointChoice.Best });
        var latest = await SubmitAsync(cluster, new InitFrom { Job = source.ToString(), Which = CheckpointChoice.Latest });
        var whole = await SubmitAsync(cluster, new InitFrom { Checkpoint = $"{checkpoints[0]}"[..30] });

        (await cluster.GetAsync(best)).Spec.InitFrom.ShouldBe(new InitFrom { Checkpoint = $"{checkpoints[1]}" });
        (await cluster.GetAsync(latest)).Spec.InitFrom.ShouldBe(new InitFrom { Checkpoint = $"{checkpoints[2]}" });
        (await cluster.GetAsync(whole)).Spec.InitFrom.ShouldBe(new InitFrom { Checkpoint = $"{checkpoints[0]}" });
    }

    [Fact]
    public async Task WhatIsNotThereOrOfAnotherModel_IsRefused()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (_, source, checkpoints) = await TrainedAsync(cluster, double.NaN);

        async Task Refused(InitFrom from, string message, string model = "") =>
            (await Should.ThrowAsync<InitialCheckpointException>(() => SubmitAsync(cluster, from, model))).Message.ShouldContain(message);
        await Refused(new InitFrom { Checkpoint = "0000" }, "initFrom.checkpoint is 0000 but no checkpoint's id begins so");
        await Refused(new InitFrom { Job = "0000" }, "initFrom.job is 0000 but no job's id begins so");
        await Refused(new InitFrom { Job = $"{source}", Which = CheckpointChoice.Best },
            "but none of its checkpoints was validated; use which: latest");
        await Refused(new InitFrom { Checkpoint = $"{checkpoints[0]}" }, "holds weights of lenet5, but model.name is alexnet", "alexnet");
    }

    [Fact]
    public async Task Retention_KeepsWhatAnUnfinishedJobBeginsWith_AndTakesItOnceThatHasEnded()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (_, source, checkpoints) = await TrainedAsync(cluster, 0.9, 0.5);
        var user = await SubmitAsync(cluster, new InitFrom { Checkpoint = $"{checkpoints[0]}" });

        // Two newer ones put the first out of what the job itself keeps.
        await CommitAsync(cluster, source, 3, 0.6);
        await CommitAsync(cluster, source, 4, 0.7);
        (await StepsAsync(cluster, source)).ShouldBe([4L, 3, 1]);
        await cluster.Job(user).CancelAsync(new CancelJob("alice", ""));

        (await StepsAsync(cluster, source)).ShouldBe([4L, 3]);
    }

    [Fact]
    public async Task ATrainer_ReadsItsJobsInitialCheckpoint_AndNoOther()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (_, _, checkpoints) = await TrainedAsync(cluster, 0.5, 0.6);
        var user = await SubmitAsync(cluster, new InitFrom { Checkpoint = $"{checkpoints[0]}" });

        (await cluster.Get<CheckpointStore>().GetManifestAsync(user, checkpoints[0], Token)).Step.ShouldBe(1);
        await Should.ThrowAsync<CheckpointNotFoundException>(
            () => cluster.Get<CheckpointStore>().GetManifestAsync(user, checkpoints[1], Token));
    }

    [Fact]
    public async Task Deletion_WaitsForTheJobsThatNeedTheCheckpoint_AndLeavesTheOthersWhole()
    {
        await using var cluster = await TestCluster.StartAsync(postgres);
        var (node, source, checkpoints) = await TrainedAsync(cluster, 0.5, 0.9);
        var user = await SubmitAsync(cluster, new InitFrom { Checkpoint = $"{checkpoints[0]}" });
        Task DeleteAsync() => cluster.Get<CheckpointDeletion>().DeleteAsync(checkpoints[0], Token);
        async Task InUse(string message) => (await Should.ThrowAsync<CheckpointInUseException>(DeleteAsync)).Message.ShouldContain(message);

        await InUse($"is of job {source}, which is not over");
        await node.ExitAsync(source, 1, 0, TrainerExit.Done);
        await InUse($"job {user}, which is not over, begins with");
        await cluster.Job(user).CancelAsync(new CancelJob("alice", ""));
        await DeleteAsync();

        (await StepsAsync(cluster, source)).ShouldBe([2L]);
        (await ChunksOfAsync(cluster, source)).ShouldBe(1);
        await Should.ThrowAsync<CheckpointNotFoundException>(DeleteAsync);
        (await Should.ThrowAsync<InitialCheckpointException>(() => SubmitAsync(cluster, new InitFrom { Checkpoint = $"{checkpoints[0]}" })))
            .Message.ShouldContain("no checkpoint's id begins so");
    }

    private static Task<long> ChunksOfAsync(TestCluster cluster, JobId job) =>
        cluster.Get<ClusterDatabase>().RunAsync(async (connection, token) =>
        {
            await using var command = new Npgsql.NpgsqlCommand("select count(*) from checkpoint_chunks where holder = $1", connection)
            {
                Parameters = { new() { Value = job.Value } },
            };
            return (long)(await command.ExecuteScalarAsync(token))!;
        }, Token);

    private static async Task<(TestNode Node, JobId Job, List<Guid> Checkpoints)> TrainedAsync(
        TestCluster cluster, params double[] accuracies)
    {
        var node = await cluster.AddNodeAsync();
        var job = await cluster.SubmitAsync(
            AJob().With(s => s.Checkpoints = new CheckpointPolicy { KeepLatest = accuracies.Length == 3 ? 3 : 2 }));
        await cluster.RunAsync(job);
        var checkpoints = new List<Guid>();
        foreach (var accuracy in accuracies)
            checkpoints.Add(await CommitAsync(cluster, job, checkpoints.Count + 1, accuracy));
        return (node, job, checkpoints);
    }

    private static async Task<Guid> CommitAsync(TestCluster cluster, JobId job, int step, double accuracy)
    {
        var chunk = Chunks.Of((byte)step);
        await cluster.Get<ChunkStore>().PutAsync(cluster.Credential(job, 1), Chunks.Stream(chunk), Token);
        var manifest = new CheckpointManifest
        {
            Step = step,
            Epoch = 1,
            WorldSize = 1,
            Files = { Chunks.File("model.safetensors", chunk) },
        };
        if (!double.IsNaN(accuracy))
            manifest.ValidationAccuracy = accuracy;
        return await cluster.Get<CheckpointStore>().CommitAsync(cluster.Credential(job, 1), manifest, 1, Token);
    }

    private static Task<JobId> SubmitAsync(TestCluster cluster, InitFrom from, string model = "") => cluster.SubmitAsync(AJob().With(s =>
    {
        s.InitFrom = from;
        if (model.Length > 0)
            s.Model.Name = model;
    }), waitForCapacity: true);

    private static async Task<IEnumerable<long>> StepsAsync(TestCluster cluster, JobId job) =>
        (await cluster.Get<CheckpointQueries>().ListAsync(job, 10, Token)).Select(c => c.Step);
}
