using Cluster.Contracts.Access;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Tests.Fixtures;
using Cluster.Tests.Shared;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Cluster.Scheduler.Tests.Access;

/// <summary>Texts that would be more than text to who trusted them: SQL, paths, script.</summary>
public sealed class HostileTextTests(PostgresServer postgres) : IAsyncLifetime
{
    private const int DeepestField = 4;

    private static readonly string[] Sql = ["'; drop table jobs; --", "' or true --", "\\'; delete from tokens; --", "$1", "%"];

    private TestScheduler _scheduler = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _scheduler = await TestScheduler.StartAsync(postgres);

    public ValueTask DisposeAsync() => _scheduler.DisposeAsync();

    /// <summary>In each text of each RPC's message, one at a time: it is refused as no such name, or finds nothing by it.</summary>
    [Fact]
    public async Task Sql_InEveryText_IsAText()
    {
        var job = await _scheduler.SubmitWaitingAsync();
        var (wrong, tried) = (new List<string>(), 0);
        foreach (var method in RequiredScope.Services().SelectMany(service => service.Methods).Where(IsPeoples))
        {
            foreach (var path in Texts(method.InputType, depth: 0))
            {
                foreach (var text in Sql)
                {
                    var request = method.InputType.Parser.ParseFrom([]);
                    Put(request, path, text);
                    tried++;
                    if (await CallAsync(method, request) is StatusCode.Internal or StatusCode.Unknown or StatusCode.Unavailable)
                        wrong.Add($"{method.FullName} with {string.Join('.', path.Select(field => field.Name))} = {text}");
                }
            }
        }

        wrong.ShouldBeEmpty();
        tried.ShouldBeGreaterThan(500);
        (await _scheduler.Jobs().ListJobsAsync(new ListJobsRequest())).Jobs.Select(each => each.Id).ShouldBe([job.Id]);
        (await _scheduler.Tokens().ListTokensAsync(new ListTokensRequest())).Tokens.Count.ShouldBe(4);
    }

    [Fact]
    public async Task Sql_InEveryFilter_FindsNothing()
    {
        await _scheduler.SubmitWaitingAsync();
        foreach (var text in Sql)
        {
            (await _scheduler.Jobs().ListJobsAsync(new ListJobsRequest { Workspace = text })).Jobs.ShouldBeEmpty();
            (await _scheduler.Jobs().ListJobsAsync(new ListJobsRequest { Queue = text })).Jobs.ShouldBeEmpty();
            (await _scheduler.Tokens().ListTokensAsync(new ListTokensRequest { Owner = text })).Tokens.ShouldBeEmpty();
            foreach (var filter in new[]
            {
                new ListAuditRequest { Who = text }, new ListAuditRequest { Action = text }, new ListAuditRequest { Object = text },
                new ListAuditRequest { Status = text },
            })
            {
                (await _scheduler.Audit().ListAuditAsync(filter)).Entries.ShouldBeEmpty();
            }

            // As texts stand there: in single quotes, with one of them doubled.
            var quoted = text.Replace("'", "''", StringComparison.Ordinal);
            (await _scheduler.Runs().ListRunsAsync(new ListRunsRequest { Where = $"owner = '{quoted}'" })).Runs.ShouldBeEmpty();
            foreach (var request in new[] { new ListRunsRequest { Where = text }, new ListRunsRequest { Sort = text } })
            {
                (await Should.ThrowAsync<RpcException>(() => _scheduler.Runs().ListRunsAsync(request).ResponseAsync))
                    .StatusCode.ShouldBe(StatusCode.InvalidArgument);
            }
        }

        // Who only looks, and asks for what is no filter, is noted all the same.
        var refused = new ListAuditRequest { Who = "vera", Action = "RunService/ListRuns", Status = "InvalidArgument" };
        await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(refused)).Entries.Count == 2 * Sql.Length);
    }

    [Theory]
    [InlineData("model: lenet5\ndata: ../../etc/passwd")]
    [InlineData("model: lenet5\ndata: /etc/passwd")]
    [InlineData("model: lenet5\ndata: {name: image-folder, folder: ../elsewhere, classes: 5}")]
    [InlineData("model: lenet5\ndata: {name: image-folder, folder: /etc, classes: 5}")]
    [InlineData("model: lenet5\ndata: {name: image-folder, folder: a/../../b, classes: 5}")]
    [InlineData("model: lenet5\ndata: {name: image-folder, folder: \"..\", classes: 5}")]
    [InlineData("model: ../../lenet5\ndata: fashion-mnist")]
    [InlineData("model: {name: fourlayer_cnn, options: {activation: ../../etc/passwd} }\ndata: fashion-mnist")]
    [InlineData("model: {name: lenet5, options: {../../x: 1} }\ndata: fashion-mnist")]
    [InlineData("model: lenet5\ndata: fashion-mnist\ninitFrom: {file: ../secrets.safetensors}")]
    [InlineData("model: lenet5\ndata: fashion-mnist\ninitFrom: {file: /etc/secrets.safetensors}")]
    [InlineData("name: ../../x\nmodel: lenet5\ndata: fashion-mnist")]
    [InlineData("name: <script>alert(1)</script>\nmodel: lenet5\ndata: fashion-mnist")]
    [InlineData("workspace: <script>alert(1)</script>\nmodel: lenet5\ndata: fashion-mnist")]
    public async Task PathOrScript_InAJobFile_IsRefusedAndNoted(string yaml)
    {
        var request = new SubmitJobRequest { RequestId = $"{Guid.NewGuid()}", Yaml = yaml, WaitForCapacity = true };

        (await Should.ThrowAsync<RpcException>(() => _scheduler.Jobs().SubmitJobAsync(request).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.InvalidArgument);

        await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(new ListAuditRequest { Who = "alice" })).Entries
            .Any(entry => (entry.Action, entry.Status) == ("JobService/SubmitJob", "InvalidArgument")));
        (await _scheduler.QueryAsync("select count(*) from jobs")).ShouldBe(0L);
    }

    /// <summary>What a trainer writes is kept as it was written. That it is shown as text is tested where it is shown.</summary>
    [Fact]
    public async Task Script_InALog_IsALine()
    {
        const string Script = "<script>alert(1)</script>\u001b[31m'; drop table logs; --";
        var trainer = await _scheduler.RunAsync("node-a");

        await trainer.LogAsync(Script);

        using var log = _scheduler.Jobs().StreamLogs(new StreamLogsRequest { JobId = trainer.Job });
        (await log.ResponseStream.MoveNext(Token)).ShouldBeTrue();
        log.ResponseStream.Current.Lines.Select(line => line.Text).ShouldContain(Script);
    }

    /// <summary>In its own name, and so no forgery that is refused at the door; but the rank is not its.</summary>
    [Fact]
    public async Task NodesReport_OfARankThatWasGivenToAnother_IsRefused_AndInTheAudit()
    {
        var trainer = await _scheduler.RunAsync("node-a");
        var other = Guid.NewGuid();
        const string OthersToken = "the-token-of-another-node";
        await _scheduler.AddTokenAsync(OthersToken, "nodes", Scope.Node, node: other, name: "node-b");
        var registry = _scheduler.Registry(OthersToken);

        var exit = new ReportExitRequest { NodeId = $"{other}", JobId = trainer.Job, Attempt = trainer.Attempt, ExitCode = 1 };
        (await Should.ThrowAsync<RpcException>(() => registry.ReportExitAsync(exit).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.PermissionDenied);
        exit.Attempt = trainer.Attempt + 1;
        await registry.ReportExitAsync(exit); // of which nothing is known
        var lines = new AppendLogsRequest
        {
            NodeId = $"{other}",
            JobId = trainer.Job,
            Attempt = trainer.Attempt,
            AgentSequence = 1,
            Lines = { new LogLine { Text = "forged" } },
        };
        (await Should.ThrowAsync<RpcException>(() => registry.AppendLogsAsync(lines).ResponseAsync))
            .StatusCode.ShouldBe(StatusCode.PermissionDenied);
        foreach (var action in (string[])["ReportExit", "AppendLogs"])
        {
            var refused = new ListAuditRequest { Action = action, Status = $"{StatusCode.PermissionDenied}" };
            await Eventually.HoldsAsync(async () => (await _scheduler.Audit().ListAuditAsync(refused)).Entries.Count == 1);
        }

        (await _scheduler.Jobs().GetJobAsync(new GetJobRequest { JobId = trainer.Job })).Job.State.ShouldBe(JobState.Running);
        (await _scheduler.QueryAsync("select count(*) from logs where text = 'forged'")).ShouldBe(0L);
    }

    private static bool IsPeoples(MethodDescriptor method) =>
        !method.IsClientStreaming && RequiredScope.Of(method) is Scope.Viewer or Scope.Submitter or Scope.Operator or Scope.Admin;

    /// <summary>The ways to each text of a message, also of messages in it.</summary>
    private static IEnumerable<IReadOnlyList<FieldDescriptor>> Texts(MessageDescriptor type, int depth)
    {
        foreach (var field in type.Fields.InDeclarationOrder().Where(field => !field.IsMap))
        {
            if (field.FieldType == FieldType.String)
                yield return [field];
            else if (field.FieldType == FieldType.Message && depth < DeepestField)
            {
                foreach (var rest in Texts(field.MessageType, depth + 1))
                    yield return [field, .. rest];
            }
        }
    }

    private static void Put(IMessage message, IEnumerable<FieldDescriptor> path, string text)
    {
        var (field, rest) = (path.First(), path.Skip(1).ToList());
        object inner = text;
        if (rest.Count > 0)
        {
            inner = field.MessageType.Parser.ParseFrom([]);
            Put((IMessage)inner, rest, text);
        }

        if (field.IsRepeated)
            ((System.Collections.IList)field.Accessor.GetValue(message)).Add(inner);
        else
            field.Accessor.SetValue(message, inner);
    }

    private async Task<StatusCode> CallAsync(MethodDescriptor method, IMessage request)
    {
        try
        {
            await RawCall.MakeAsync(
                _scheduler.As(TestScheduler.AdminToken), method, request.ToByteArray(), new CallOptions(cancellationToken: Token));
            return StatusCode.OK;
        }
        catch (RpcException refusal)
        {
            return refusal.StatusCode;
        }
    }
}
