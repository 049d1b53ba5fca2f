using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Api.Strangers;

[Collection(typeof(StrangersTests))]
public sealed class NodeClientTests(StrangersScheduler scheduler, NodeClient node)
    : ClientTests(scheduler, node), IClassFixture<NodeClient>;

[Collection(typeof(StrangersTests))]
public sealed class PythonClientTests(StrangersScheduler scheduler, PythonClient python)
    : ClientTests(scheduler, python), IClassFixture<PythonClient>;

/// <summary>What a client of another implementation sees of the scheduler, and what the scheduler keeps of one that is gone.</summary>
public abstract class ClientTests(StrangersScheduler shared, ForeignClient foreign)
{
    private const string Yaml = """
        name: from-a-stranger
        model: lenet5
        data: fashion-mnist
        resources:
          devices: 1
          deviceKind: cpu
          nodeLabels:
            only: nowhere
        """;

    private static readonly string[] Services =
    [
        "cluster.v1.AgentRegistryService", "cluster.v1.AttemptService", "cluster.v1.AuditService", "cluster.v1.CheckpointService",
        "cluster.v1.DataService", "cluster.v1.ExperimentService", "cluster.v1.JobService", "cluster.v1.ModelService",
        "cluster.v1.NodeService", "cluster.v1.QueueService", "cluster.v1.ReportService", "cluster.v1.RunService",
        "cluster.v1.TokenService", "cluster.v1.WebhookService", "cluster.v1.WorkspaceService",
        "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
    ];

    private TestScheduler Scheduler => shared.Scheduler;

    private Stranger Client => foreign.Client;

    [Fact]
    public async Task Submit_OfAJobFile_QueuesIt()
    {
        var seen = await SubmitAsync();

        (seen.Code, seen.Message, seen.States!.Single()).ShouldBe((StatusCode.OK, "", "JOB_STATE_QUEUED"));
        var job = (await Scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = seen.Id })).Job;
        (job.Owner, job.Spec.Name).ShouldBe(("alice", "from-a-stranger"));
    }

    [Fact]
    public async Task Submit_WithGzip_IsRead()
    {
        var before = Scheduler.Log.Entries.Count;

        var seen = await SubmitAsync(padding: 10_000, gzip: true);

        seen.Code.ShouldBe(StatusCode.OK, seen.Message);
        Scheduler.Log.Entries.Skip(before).Select(entry => entry.Message).ShouldContain("Decompressing message with 'gzip' encoding.");
    }

    [Fact]
    public async Task Submit_WithoutAToken_IsUnauthenticated()
    {
        var seen = await SubmitAsync(token: null);

        (seen.Code, seen.Message).ShouldBe((StatusCode.Unauthenticated, "no token; send the metadata 'authorization: Bearer <token>'"));
    }

    [Fact]
    public async Task Submit_WithTooNarrowAScope_IsPermissionDenied()
    {
        var seen = await SubmitAsync(token: TestScheduler.ViewerToken);

        (seen.Code, seen.Message).ShouldBe((StatusCode.PermissionDenied, "this needs the scope submitter; the token has viewer"));
    }

    [Fact]
    public async Task Submit_OfAFileWithAFault_NamesItInItsOwnScript()
    {
        const string unusual = "naïve – 失敗 100% \"why\"";
        var yaml = Yaml.Replace("lenet5", $"'{unusual}'");
        var fault = Should.Throw<JobFileException>(() => JobFile.Parse(yaml)).Message;
        fault.ShouldContain(unusual);

        var seen = await SubmitAsync(yaml: yaml);

        (seen.Code, seen.Message).ShouldBe((StatusCode.InvalidArgument, fault));
    }

    [Fact]
    public async Task Submit_InAMessageOf64MiB_IsResourceExhausted_AndTheChannelsOtherCallsGoOn()
    {
        await using var client = foreign.Start();
        var job = await WatchAsync(client);

        var refused = await client.AskAsync("submit", new { token = TestScheduler.SubmitterToken, yaml = Yaml, padding = 64 << 20 });
        var next = await client.AskAsync("submit", new { token = TestScheduler.SubmitterToken, yaml = Yaml });

        refused.Code.ShouldBe(StatusCode.ResourceExhausted, refused.Message);
        next.Code.ShouldBe(StatusCode.OK, next.Message);
        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job });
        var watched = await client.AskAsync("finish", new { });
        watched.Code.ShouldBe(StatusCode.OK, watched.Message);
        await shared.WhenAllIsFreedAsync();
    }

    [Theory]
    [InlineData("/cluster.v1.JobService/Missing")]
    [InlineData("/cluster.v1.MissingService/GetJob")]
    public async Task Path_ThatIsUnknown_IsUnimplemented(string path) =>
        (await Client.AskAsync("unknown", new { path })).Code.ShouldBe(StatusCode.Unimplemented);

    [Fact]
    public async Task PutChunks_WithItsAttemptsMetadata_StoresThem()
    {
        var trainer = await Scheduler.RunAsync($"node-of-{foreign.GetType().Name}".ToLowerInvariant());

        var seen = await Client.AskAsync(
            "putChunks", new { job = trainer.Job, attempt = trainer.Attempt, rank = 0, token = trainer.Secret, chunks = 7 });

        (seen.Code, seen.Message, seen.Bytes).ShouldBe((StatusCode.OK, "", 7000L));
        (await Scheduler.QueryAsync($"select count(*) from checkpoint_chunks where holder = '{trainer.Job}'")).ShouldBe(7L);
    }

    [Fact]
    public async Task Import_Of64MiBInChunks_GivesTheSameBytesToADownload()
    {
        var imported = await Client.AskAsync("import", new { token = TestScheduler.SubmitterToken, bytes = 64 << 20 });
        imported.Code.ShouldBe(StatusCode.OK, imported.Message);

        var downloaded = await Client.AskAsync("download", new { token = TestScheduler.ViewerToken, checkpoint = imported.Id });

        downloaded.Code.ShouldBe(StatusCode.OK, downloaded.Message);
        imported.Bytes!.Value.ShouldBeGreaterThan(64 << 20);
        (downloaded.Bytes, downloaded.Sha256).ShouldBe((imported.Bytes, imported.Sha256));
    }

    [Fact]
    public async Task Watch_OfAJob_SendsItsEvents_AndEndsWithIt()
    {
        await using var client = foreign.Start();
        var job = await WatchAsync(client);

        await Scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = job });

        var rest = await client.AskAsync("finish", new { });
        (rest.Code, rest.Message, rest.States!.Single()).ShouldBe((StatusCode.OK, "", "JOB_STATE_CANCELLED"));
    }

    [Fact]
    public async Task Watch_ToItsDeadline_IsDeadlineExceeded_AndFreed()
    {
        await using var client = foreign.Start();
        var job = await Scheduler.SubmitWaitingAsync();

        await client.AskAsync("watch", new { token = TestScheduler.ViewerToken, job = job.Id, seconds = 1 });

        (await client.AskAsync("finish", new { })).Code.ShouldBe(StatusCode.DeadlineExceeded);
        await shared.WhenAllIsFreedAsync();
    }

    [Fact]
    public async Task Watch_ThatIsCancelled_IsFreed()
    {
        await using var client = foreign.Start();
        await WatchAsync(client);
        Scheduler.Watchers.ShouldBe(1);

        (await client.AskAsync("cancel", new { })).Code.ShouldBe(StatusCode.Cancelled);

        await shared.WhenAllIsFreedAsync();
    }

    [Fact]
    public async Task Watch_WhoseClientIsKilled_IsFreed()
    {
        await using var doomed = foreign.Start();
        await WatchAsync(doomed);
        Scheduler.Watchers.ShouldBe(1);

        await doomed.KillAsync();

        await shared.WhenAllIsFreedAsync();
    }

    [Fact]
    public async Task Download_WhoseClientReadsNoMoreAndIsKilled_IsFreed()
    {
        // More than any client buffers that its program does not read from: grpc-js takes 16 messages of a MiB.
        var imported = await Client.AskAsync("import", new { token = TestScheduler.SubmitterToken, bytes = 32 << 20 });
        await using var doomed = foreign.Start();
        var beginning = await doomed.AskAsync("downloadBeginning", new { token = TestScheduler.ViewerToken, checkpoint = imported.Id });
        beginning.Bytes.ShouldBe(1 << 20);
        await Eventually.HoldsAsync(() => shared.OpenRequests == 1);

        await doomed.KillAsync();

        await shared.WhenAllIsFreedAsync();
    }

    [Fact]
    public async Task Import_WhoseClientIsKilledHalfway_LeavesNothing()
    {
        var before = await ChunksAsync();
        await using var doomed = foreign.Start();
        await doomed.AskAsync("importHalf", new { token = TestScheduler.SubmitterToken, bytes = 16 << 20 });
        await Eventually.HoldsAsync(async () => await ChunksAsync() > before);

        await doomed.KillAsync();

        await shared.WhenAllIsFreedAsync();
        (await ChunksAsync()).ShouldBe(before);
    }

    [Fact]
    public async Task Health_IsServing_AndThatOfAnUnknownServiceNotFound()
    {
        var own = await Client.AskAsync("health", new { service = "" });
        var unknown = await Client.AskAsync("health", new { service = "nobody" });

        (own.Code, own.States!.Single()).ShouldBe((StatusCode.OK, "SERVING"));
        unknown.Code.ShouldBe(StatusCode.NotFound);
    }

    [Theory]
    [InlineData("v1")]
    [InlineData("v1alpha")]
    public async Task Reflection_TellsEnoughToCallTheService(string version)
    {
        var job = await Scheduler.SubmitWaitingAsync();

        var seen = await Client.AskAsync("reflect", new { version, token = TestScheduler.ViewerToken, job = job.Id });

        (seen.Code, seen.Unknown, seen.Id).ShouldBe((StatusCode.OK, StatusCode.NotFound, job.Id));
        seen.Services!.Order().ShouldBe(Services);
        var files = Parse(seen.Files!);
        files.SelectMany(file => file.Dependency).ShouldBeSubsetOf(files.Select(file => file.Name));
        var submit = files.SelectMany(file => file.Service).SelectMany(service => service.Method)
            .Single(method => method.Name == "SubmitJob");
        submit.Options.GetExtension(AccessExtensions.RequiredScope).ShouldBe(Scope.Submitter);
        Parse(seen.Named!).Single(file => file.Name == "cluster/v1/access.proto").Extension.Select(extension => extension.Name)
            .ShouldBe(["required_scope", "names_jobs"]);
    }

    private Task<Seen> SubmitAsync(string? token = TestScheduler.SubmitterToken, string yaml = Yaml, int padding = 0, bool gzip = false) =>
        Client.AskAsync("submit", new { token, yaml, padding, gzip });

    /// <summary>A job that waits, watched by the client up to its first event.</summary>
    private async Task<string> WatchAsync(Stranger client)
    {
        var job = await Scheduler.SubmitWaitingAsync();
        (await client.AskAsync("watch", new { token = TestScheduler.ViewerToken, job = job.Id })).States.ShouldBe(["JOB_STATE_QUEUED"]);
        return job.Id;
    }

    private async Task<long> ChunksAsync() => (long)(await Scheduler.QueryAsync("select count(*) from checkpoint_chunks"))!;

    private static List<FileDescriptorProto> Parse(byte[][] files)
    {
        var parser = FileDescriptorProto.Parser.WithExtensionRegistry([AccessExtensions.RequiredScope]);
        return [.. files.Select(parser.ParseFrom)];
    }
}
