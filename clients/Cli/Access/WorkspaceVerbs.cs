using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Access;

/// <summary>workspace list|close|open|member|expel.</summary>
internal static class WorkspaceVerbs
{
    public static Command Build(VerbFactory verbs) => new("workspace", "whose jobs are whose to see")
    {
        List(verbs), Close(verbs), Open(verbs), Member(verbs), Expel(verbs),
    };

    private static Command List(VerbFactory verbs) => verbs.Table(
        "list", "List the closed workspaces with their members; all others are everybody's.", ListAsync,
        (_, listed) => Table(listed.Workspaces));

    private static async Task<ListWorkspacesResponse> ListAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var all = new ListWorkspacesResponse();
        do
        {
            var request = new ListWorkspacesRequest { PageToken = all.NextPageToken };
            var page = await context.Connection.Workspaces.ListWorkspacesAsync(request, context.Connection.Call(cancellationToken));
            all.Workspaces.AddRange(page.Workspaces);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0);

        return all;
    }

    private static Command Close(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb(
            "close", "Close a workspace to all but its members and operators; everybody keeps their own jobs.",
            async (context, cancellationToken) =>
            {
                var request = new CloseWorkspaceRequest { Name = context.Arguments.GetRequiredValue(name) };
                await context.Connection.Workspaces.CloseWorkspaceAsync(request, context.Connection.Call(cancellationToken));
                return await TellAsync(context, $"workspace {request.Name} is closed");
            });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Open(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb("open", "Make a workspace everybody's, and forget its members.", async (context, cancellationToken) =>
        {
            var request = new OpenWorkspaceRequest { Name = context.Arguments.GetRequiredValue(name) };
            await context.Connection.Workspaces.OpenWorkspaceAsync(request, context.Connection.Call(cancellationToken));
            return await TellAsync(context, $"workspace {request.Name} is everybody's");
        });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Member(VerbFactory verbs)
    {
        var (name, owner) = (NameArgument(), OwnerArgument());
        var role = new Option<string>("--role") { Description = "viewer, submitter or operator", HelpName = "ROLE", Required = true };
        role.AcceptOnlyFromAmong("viewer", "submitter", "operator");
        var priority = new Option<int?>("--highest-priority") { Description = "of the member's jobs (otherwise any)", HelpName = "N" };
        var queues = new Option<string[]>("--queue")
        {
            Description = "where they may wait; may be given several times (otherwise anywhere)",
            HelpName = "QUEUE",
            DefaultValueFactory = _ => [],
        };
        var command = verbs.Verb(
            "member", "Add a member, or replace all that was said of one.", async (context, cancellationToken) =>
            {
                var member = new WorkspaceMember
                {
                    Owner = context.Arguments.GetRequiredValue(owner),
                    Role = Enum.Parse<Scope>(context.Arguments.GetRequiredValue(role), ignoreCase: true),
                    Queues = { context.Arguments.GetValue(queues) ?? [] },
                };
                if (context.Arguments.GetValue(priority) is { } highest)
                    member.HighestPriority = highest;
                var request = new SetMemberRequest { Name = context.Arguments.GetRequiredValue(name), Member = member };
                await context.Connection.Workspaces.SetMemberAsync(request, context.Connection.Call(cancellationToken));
                return await TellAsync(context, $"{member.Owner} is {Role(member)} in workspace {request.Name}");
            });
        command.Arguments.Add(name);
        command.Arguments.Add(owner);
        foreach (Option option in (Option[])[role, priority, queues])
            command.Options.Add(option);
        return command;
    }

    private static Command Expel(VerbFactory verbs)
    {
        var (name, owner) = (NameArgument(), OwnerArgument());
        var command = verbs.Verb("expel", "Take a member away; the member's own jobs stay.", async (context, cancellationToken) =>
        {
            var request = new RemoveMemberRequest
            {
                Name = context.Arguments.GetRequiredValue(name),
                Owner = context.Arguments.GetRequiredValue(owner),
            };
            await context.Connection.Workspaces.RemoveMemberAsync(request, context.Connection.Call(cancellationToken));
            return await TellAsync(context, $"{request.Owner} is no member of workspace {request.Name}");
        });
        command.Arguments.Add(name);
        command.Arguments.Add(owner);
        return command;
    }

    private static async Task<int> TellAsync(VerbContext context, string done)
    {
        if (!context.Json)
            await context.Output.LineAsync(done);
        return ExitCode.Done;
    }

    private static ColumnTable Table(IEnumerable<Workspace> workspaces)
    {
        var table = new ColumnTable("WORKSPACE", "MEMBER", "ROLE", "HIGHEST PRIORITY", "QUEUES");
        foreach (var workspace in workspaces)
        {
            if (workspace.Members.Count == 0)
                table.Add(workspace.Name, "", "", "", "");
            foreach (var member in workspace.Members)
            {
                table.Add(
                    workspace.Name, member.Owner, Role(member), member.HasHighestPriority ? $"{member.HighestPriority}" : "",
                    string.Join(' ', member.Queues));
            }
        }

        return table;
    }

    private static string Role(WorkspaceMember member) => member.Role.ToString().ToLowerInvariant();

    private static Argument<string> NameArgument() => new("WORKSPACE") { Description = "as job files name it" };

    private static Argument<string> OwnerArgument() => new("OWNER") { Description = "as tokens name their owner" };
}
