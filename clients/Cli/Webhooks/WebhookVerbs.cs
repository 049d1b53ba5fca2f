using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Webhooks;

/// <summary>webhook create|list|delete|test.</summary>
internal static class WebhookVerbs
{
    public static Command Build(VerbFactory verbs) => new("webhook", "addresses that are told what becomes of jobs")
    {
        Create(verbs), List(verbs), Delete(verbs), Test(verbs),
    };

    private static Command Create(VerbFactory verbs)
    {
        var name = NameArgument();
        var url = new Argument<string>("URL") { Description = "where each event is sent to by a POST" };
        var states = new Option<string[]>("--on")
        {
            Description = "tell of jobs that have become this; may be given again (otherwise succeeded, failed and cancelled)",
            HelpName = "STATE",
        };
        states.AcceptOnlyFromAmong(
            [.. Enum.GetValues<JobState>().Where(state => state != JobState.Unspecified).Select(state => state.Word())]);
        var workspace = new Option<string?>("--workspace") { Description = "only jobs of this workspace", HelpName = "NAME" };
        var everyone = new Option<bool>("--all-owners") { Description = "everyone's jobs, which needs the scope operator" };
        var command = verbs.Verb(
            "create", "Tell an address what becomes of your jobs; prints the secret that deliveries are signed with, this once.",
            async (context, cancellationToken) =>
            {
                var webhook = new Webhook
                {
                    Name = context.Arguments.GetRequiredValue(name),
                    Url = context.Arguments.GetRequiredValue(url),
                    States =
                    {
                        (context.Arguments.GetValue(states) ?? []).Select(word => Enum.Parse<JobState>(word, ignoreCase: true)),
                    },
                    Workspace = context.Arguments.GetValue(workspace) ?? "",
                    AllOwners = context.Arguments.GetValue(everyone),
                };
                var created = await context.Connection.Webhooks.CreateWebhookAsync(
                    new CreateWebhookRequest { Webhook = webhook }, context.Connection.Call(cancellationToken));
                if (context.Json)
                {
                    await context.Output.DocumentAsync(created);
                }
                else
                {
                    await context.Output.RemarkAsync("the secret, which is not shown again:");
                    await context.Output.LineAsync(created.Secret);
                }

                return ExitCode.Done;
            });
        foreach (var argument in new[] { name, url })
            command.Arguments.Add(argument);
        foreach (var option in new Option[] { states, workspace, everyone })
            command.Options.Add(option);
        return command;
    }

    private static Command List(VerbFactory verbs) => verbs.Table(
        "list", "List your webhooks, as an operator everyone's.", ListAsync, (_, listed) => Table(listed.Webhooks));

    private static async Task<ListWebhooksResponse> ListAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var all = new ListWebhooksResponse();
        do
        {
            var request = new ListWebhooksRequest { PageToken = all.NextPageToken };
            var page = await context.Connection.Webhooks.ListWebhooksAsync(request, context.Connection.Call(cancellationToken));
            all.Webhooks.AddRange(page.Webhooks);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0);

        return all;
    }

    private static Command Delete(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb("delete", "Delete a webhook; what is not delivered yet is dropped.", async (context, cancellationToken) =>
        {
            var request = new DeleteWebhookRequest { Name = context.Arguments.GetRequiredValue(name) };
            var answer = await context.Connection.Webhooks.DeleteWebhookAsync(request, context.Connection.Call(cancellationToken));
            if (context.Json)
                await context.Output.DocumentAsync(answer);
            else
                await context.Output.LineAsync($"webhook {request.Name} deleted");
            return ExitCode.Done;
        });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Test(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb("test", "Send a test event, once, and say what came of it.", async (context, cancellationToken) =>
        {
            var request = new TestWebhookRequest { Name = context.Arguments.GetRequiredValue(name) };
            var answer = await context.Connection.Webhooks.TestWebhookAsync(request, context.Connection.Call(cancellationToken));
            if (context.Json)
                await context.Output.DocumentAsync(answer);
            else
                await context.Output.LineAsync(answer.Delivered ? "delivered" : $"not delivered: {answer.Fault}");
            return answer.Delivered ? ExitCode.Done : ExitCode.Refused;
        });
        command.Arguments.Add(name);
        return command;
    }

    private static ColumnTable Table(IEnumerable<Webhook> webhooks)
    {
        var table = new ColumnTable("WEBHOOK", "OWNER", "ON", "WORKSPACE", "PENDING", "DEAD", "DROPPED", "DELIVERED", "URL", "LAST FAULT");
        foreach (var webhook in webhooks)
        {
            table.Add(
                webhook.Name, webhook.AllOwners ? $"{webhook.Owner}, for all" : webhook.Owner,
                string.Join(",", webhook.States.Select(state => state.Word())), webhook.Workspace, $"{webhook.Pending}", $"{webhook.Dead}",
                $"{webhook.Dropped}", Words.Clock(webhook.LastDeliveredAt), webhook.Url,
                webhook.LastFault.Length > 0 ? $"{Words.Clock(webhook.LastFaultAt)} {webhook.LastFault}" : "");
        }

        return table;
    }

    private static Argument<string> NameArgument() => new("WEBHOOK") { Description = "the webhook's name" };
}
