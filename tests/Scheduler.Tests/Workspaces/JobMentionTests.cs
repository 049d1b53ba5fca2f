using Cluster.Contracts;
using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Scheduler.Webhooks;
using Cluster.Scheduler.Workspaces;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Workspaces;

/// <summary>
/// What is told of alice's jobs in a closed workspace where others' are told of: bob is no member, vera is one, and a token of alice's is
/// limited to another workspace.
/// </summary>
public sealed class JobMentionTests(PostgresServer postgres) : IAsyncLifetime
{
    private const string Closed = "vision";
    private const string Bob = TestScheduler.OtherSubmitterToken;
    private const string Limited = "alices-token-for-speech";

    /// <summary>Whom no closed job is named to, and to whom each is.</summary>
    private static readonly (string[] To, string[] NotTo) Told = (
        [TestScheduler.ViewerToken, TestScheduler.SubmitterToken, TestScheduler.OperatorToken, TestScheduler.AdminToken], [Bob, Limited]);

    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _scheduler = await TestScheduler.StartAsync(postgres);
        await _scheduler.AddTokenAsync(Limited, "alice", Scope.Submitter, workspaces: ["speech"]);
        await _scheduler.Workspaces().CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = Closed });
        foreach (var (owner, role) in new[] { ("alice", Scope.Submitter), ("vera", Scope.Viewer) })
        {
            await _scheduler.Workspaces().SetMemberAsync(
                new SetMemberRequest { Name = Closed, Member = new WorkspaceMember { Owner = owner, Role = role } });
        }
    }

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    [Fact]
    public void TextsThatMayNameJobs_AreDeclaredSo()
    {
        string[] kinds = ["reason", "sooner", "for_job_id", "last_fault", "holder"];
        // What somebody wrote or what concerns a machine, and what says that of a job which the caller sees: the message has its id too.
        string[] others = ["cluster.v1.Drain.reason", "cluster.v1.Webhook.last_fault"];

        var undeclared = RequiredScope.Services().SelectMany(service => service.Methods)
            .Where(method => RequiredScope.Of(method) is Scope.Viewer or Scope.Submitter)
            .SelectMany(method => StringsOf(method.OutputType, []))
            .Where(field => kinds.Contains(field.Name) && !field.GetOptions().Declares())
            .Select(field => field.FullName).Distinct().Except(others);

        undeclared.ShouldBeEmpty();
    }

    [Fact]
    public async Task DeviceOfAHiddenJob_IsHeld_AndNobodyIsToldByWhich()
    {
        var job = (await RunAsync("node-a", Closed)).Job;

        foreach (var token in Told.To)
            (await DevicesAsync(token)).ShouldBe([(job, 1, true)], token);
        foreach (var token in Told.NotTo)
            (await DevicesAsync(token)).ShouldBe([("", 1, true)], token);

        async Task<IEnumerable<(string, int, bool)>> DevicesAsync(string token)
        {
            var listed = (await _scheduler.Nodes(token).ListNodesAsync(new ListNodesRequest())).Nodes.ShouldHaveSingleItem();
            var described = (await _scheduler.Nodes(token).GetNodeAsync(new GetNodeRequest { NodeId = "node-a" })).Node;
            described.Devices.ShouldBe(listed.Devices);
            return listed.Devices.Select(device => (device.JobId, device.Attempt, device.IsHeld()));
        }
    }

    [Fact]
    public async Task WhatAJobWaitsFor_NamesNoHiddenJob_InGet_List_Watch_AndPreview()
    {
        // A device is free, and kept for a job that takes both.
        var node = await _scheduler.AddNodeAsync("node-a", devices: 2);
        var running = await SubmitAsync(TestScheduler.SubmitterToken, "default", 1);
        await _scheduler.TrainAsync(node, running.Id, attempt: 1);
        var hidden = await SubmitAsync(TestScheduler.SubmitterToken, Closed, 2);
        await ReasonAsync(hidden, TestScheduler.SubmitterToken, reason => reason.Length > 0);

        var bobs = await SubmitAsync(Bob, "default", 1);

        var whole = await ReasonAsync(bobs, TestScheduler.OperatorToken, reason => reason.Contains(hidden.Id));
        var told = await ReasonAsync(bobs, Bob, reason => reason.Contains("waits its turn"));
        told.ShouldBe(whole.Replace($"job {hidden.Id}", "a job of another workspace"));
        (await _scheduler.Jobs(Bob).ListJobsAsync(new ListJobsRequest())).Jobs.Single(job => job.Id == bobs.Id).Reason.ShouldBe(told);
        using var watch = _scheduler.Jobs(Bob).WatchJob(new WatchJobRequest { JobId = bobs.Id }, cancellationToken: Token);
        await watch.ResponseStream.MoveNext(Token);
        watch.ResponseStream.Current.Job.Reason.ShouldBe(told);
        var preview = (await _scheduler.Jobs(Bob).PreviewJobAsync(new PreviewJobRequest { Spec = Spec("default", 1) })).Start;
        preview.Reason.ShouldContain("a job of another workspace");
        $"{preview}".ShouldNotContain(hidden.Id);
        // Which job runs there bob sees.
        (await _scheduler.Nodes(Bob).GetNodeAsync(new GetNodeRequest { NodeId = "node-a" })).Node.Devices
            .Select(device => device.JobId).Order().ShouldBe(["", running.Id]);
    }

    [Fact]
    public async Task JobThatIsToComeAfterOne_ThatHasBecomeHidden_DoesNotNameIt()
    {
        var first = await _scheduler.SubmitWaitingAsync("later-closed");
        var spec = Spec("default", 1);
        spec.After.Add(new Dependency { Job = first.Id, State = DependencyState.Succeeded });
        var request = new SubmitJobRequest { RequestId = "after", Spec = spec, WaitForCapacity = true };
        var second = (await _scheduler.Jobs(Bob).SubmitJobAsync(request)).Job;
        await ReasonAsync(second, Bob, reason => reason == $"waits for job {first.Id[..8]} to succeed");

        await _scheduler.Workspaces().CloseWorkspaceAsync(new CloseWorkspaceRequest { Name = "later-closed" });

        await ReasonAsync(second, Bob, reason => reason == "waits for a job of another workspace to succeed");
        await _scheduler.Jobs().CancelJobAsync(new CancelJobRequest { JobId = first.Id });
        const string Why =
            "cancelled by the scheduler: a job of another workspace is cancelled, and it was to come after that one's success";
        await ReasonAsync(second, Bob, reason => reason == Why);
        var events = (await _scheduler.Jobs(Bob).GetJobAsync(new GetJobRequest { JobId = second.Id })).Events;
        events[^1].Reason.ShouldBe(Why);
        // And where it is refused something for that reason.
        var refusal = await Should.ThrowAsync<RpcException>(
            () => _scheduler.Jobs(Bob).PauseJobAsync(new PauseJobRequest { JobId = second.Id }).ResponseAsync);
        refusal.StatusCode.ShouldBe(StatusCode.FailedPrecondition);
        refusal.Status.Detail.ShouldContain($"job {second.Id} is cancelled ({Why})");
        (await _scheduler.Jobs(TestScheduler.OperatorToken).GetJobAsync(new GetJobRequest { JobId = second.Id })).Job.Reason
            .ShouldContain(first.Id);
    }

    [Fact]
    public async Task EveryDeclaredText_IsClearedOfHiddenJobs_AndTheMessageItselfStays()
    {
        var (hidden, open) = (await _scheduler.SubmitWaitingAsync(Closed), await _scheduler.SubmitWaitingAsync("anything"));
        var gone = $"{Guid.NewGuid()}";
        var job = new Job
        {
            Id = open.Id,
            Reason = $"kept for job {hidden.Id}, which is to start at 12:00; or job {open.Id}; or job {hidden.Id[..8]}, or job {gone}",
            LastPreemption = new Preemption { ForJobId = hidden.Id, Reason = $"preempted for job {hidden.Id}, owed its quota" },
            LastResize = new Resize { ForJobId = open.Id, Reason = $"shrinks from 2 devices to 1 for job {open.Id}" },
            Queue = new QueueStanding { Sooner = { $"when job {hidden.Id} ends, about 12:00", "with 1 device instead of 2" } },
            Spec = new JobSpec { Name = $"job {hidden.Id[..8]} again" },
        };
        var whole = job.Clone();
        var (bob, all) = (new Visibility("bob", [Closed], null), new Visibility("alice", [], null));

        var told = await _scheduler.Get<JobMentions>().HideAsync(job, bob, Token);

        const string Another = "a job of another workspace";
        told.Reason.ShouldBe($"kept for {Another}, which is to start at 12:00; or job {open.Id}; or {Another}, or {Another}");
        (told.LastPreemption.ForJobId, told.LastPreemption.Reason).ShouldBe(("", $"preempted for {Another}, owed its quota"));
        told.LastResize.ShouldBe(whole.LastResize);
        told.Queue.Sooner.ShouldBe([$"when {Another} ends, about 12:00", "with 1 device instead of 2"]);
        told.Spec.ShouldBe(whole.Spec, "what somebody called it is theirs");
        job.ShouldBe(whole, "who sends it compares it with what comes next");
        (await _scheduler.Get<JobMentions>().HideAsync(job, Visibility.All, Token)).ShouldBeSameAs(job);
        (await _scheduler.Get<JobMentions>().HideAsync($"for job {hidden.Id}", all, Token)).ShouldBe($"for job {hidden.Id}");
    }

    [Fact]
    public async Task Webhook_IsToldNothingThatItsOwnerDoesNotSee()
    {
        var hidden = await _scheduler.SubmitWaitingAsync(Closed);
        var words = _scheduler.Get<WebhookWords>();
        var reason = $"preempted for job {hidden.Id}";

        (await ToldAsync("bob", null)).ShouldBe("preempted for a job of another workspace");
        (await ToldAsync("alice", null)).ShouldBe(reason);
        (await ToldAsync("alice", ["speech"])).ShouldBe("preempted for a job of another workspace");
        (await ToldAsync(null, null)).ShouldBe(reason, "an operator's");

        async Task<string> ToldAsync(string? owner, string[]? only) => (await words.OfAsync(
            new Delivery(Guid.NewGuid(), 1, Guid.NewGuid(), "", "", new WebhookEvent { Reason = reason })
            {
                Reach = new WebhookReach(owner, only),
            }, Token)).Reason;
    }

    private static IEnumerable<FieldDescriptor> StringsOf(MessageDescriptor message, HashSet<MessageDescriptor> met) => !met.Add(message)
        ? []
        : message.Fields.InDeclarationOrder().SelectMany(field => field.FieldType switch
        {
            FieldType.String => [field],
            FieldType.Message => StringsOf(field.MessageType, met),
            _ => Array.Empty<FieldDescriptor>(),
        });

    private static JobSpec Spec(string workspace, int devices) => JobSpecBuilder.AJob().WithDevices(devices)
        .With(spec => (spec.Workspace, spec.Resources.NodeLabels["only"]) = (workspace, "node-a")).Build();

    private async Task<Job> SubmitAsync(string token, string workspace, int devices)
    {
        var request = new SubmitJobRequest { RequestId = $"{Guid.NewGuid()}", Spec = Spec(workspace, devices), WaitForCapacity = true };
        return (await _scheduler.Jobs(token).SubmitJobAsync(request)).Job;
    }

    private async Task<TestTrainer> RunAsync(string node, string workspace) =>
        (await _scheduler.RunExperimentAsync(node, workspace: workspace)).Trainers[0];

    private async Task<string> ReasonAsync(Job job, string token, Func<string, bool> isRight)
    {
        var reason = "";
        await Eventually.HoldsAsync(async () => isRight(
            reason = (await _scheduler.Jobs(token).GetJobAsync(new GetJobRequest { JobId = job.Id })).Job.Reason));
        return reason;
    }
}

file static class Declared
{
    public static bool Declares(this FieldOptions? options) => options?.GetExtension(AccessExtensions.NamesJobs) == true;
}
