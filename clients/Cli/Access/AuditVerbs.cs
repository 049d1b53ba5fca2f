using System.CommandLine;
using System.Globalization;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Option = System.CommandLine.Option;

namespace Cluster.Cli.Access;

/// <summary>audit list.</summary>
internal static class AuditVerbs
{
    private const int DefaultLimit = 100;
    private const int LongestPage = 1000;

    public static Command Build(VerbFactory verbs) => new("audit", "who did what, and who was refused") { List(verbs) };

    private static Command List(VerbFactory verbs)
    {
        var who = Filter("--who", "OWNER", "only calls with this one's tokens");
        var action = Filter("--action", "RPC", "only this call, such as CancelJob");
        var target = Filter("--object", "ID", "only what was done to this, by its whole id or name");
        var status = Filter("--status", "STATUS", "only calls that ended so, such as OK or PermissionDenied");
        var since = Filter("--since", "TIME", "only from then on, such as 2026-05-01 or 2026-05-01T12:00Z");
        var until = Filter("--until", "TIME", "only before then");
        var limit = new Option<int>("--limit")
        {
            Description = "the newest so many",
            HelpName = "N",
            DefaultValueFactory = _ => DefaultLimit,
        };
        var command = verbs.Table("list", "List what was done, newest first.", (context, cancellationToken) =>
        {
            var most = context.Arguments.GetValue(limit);
            if (most < 1)
                throw new CliException(ExitCode.Usage, $"--limit is {most}; give 1 or more");
            var request = new ListAuditRequest
            {
                Who = context.Arguments.GetValue(who) ?? "",
                Action = context.Arguments.GetValue(action) ?? "",
                Object = context.Arguments.GetValue(target) ?? "",
                Status = context.Arguments.GetValue(status) ?? "",
                Since = Time("--since", context.Arguments.GetValue(since)),
                Until = Time("--until", context.Arguments.GetValue(until)),
            };
            return ListAsync(context, request, most, cancellationToken);
        }, (_, listed) => Table(listed.Entries), listed => listed.NextPageToken);
        foreach (Option option in (Option[])[who, action, target, status, since, until, limit])
            command.Options.Add(option);
        return command;
    }

    private static Option<string?> Filter(string name, string value, string description) =>
        new(name) { Description = description, HelpName = value };

    private static Timestamp? Time(string name, string? text)
    {
        if (text is null)
            return null;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time.ToTimestamp()
            : throw new CliException(ExitCode.Usage, $"{name} is '{text}'; give a date or a time, such as 2026-05-01 or 2026-05-01T12:00Z");
    }

    private static async Task<ListAuditResponse> ListAsync(
        VerbContext context, ListAuditRequest request, int most, CancellationToken cancellationToken)
    {
        var listed = new ListAuditResponse();
        do
        {
            request.PageToken = listed.NextPageToken;
            request.PageSize = Math.Min(most - listed.Entries.Count, LongestPage);
            var page = await context.Connection.Audit.ListAuditAsync(request, context.Connection.Call(cancellationToken));
            listed.Entries.AddRange(page.Entries);
            listed.NextPageToken = page.NextPageToken;
        }
        while (listed.NextPageToken.Length > 0 && listed.Entries.Count < most);

        return listed;
    }

    private static ColumnTable Table(IEnumerable<AuditEntry> entries)
    {
        var table = new ColumnTable("TIME", "WHO", "TOKEN", "FROM", "ACTION", "OBJECT", "STATUS", "WHY");
        foreach (var entry in entries)
        {
            var more = entry.LeftOut > 0 ? $" ({entry.LeftOut} like it left out)" : "";
            table.Add(
                $"{entry.Time.ToDateTime():yyyy-MM-dd HH:mm:ss}Z", entry.Who, entry.Token, entry.Origin, entry.Action, entry.Object,
                entry.Status, entry.Detail + more);
        }

        return table;
    }
}
