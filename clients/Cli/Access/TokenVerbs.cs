using System.CommandLine;
using Cluster.Cli.Rendering;
using Cluster.Contracts.V1;
using Google.Protobuf.WellKnownTypes;
using Option = System.CommandLine.Option;

namespace Cluster.Cli.Access;

/// <summary>token create|list|revoke.</summary>
internal static class TokenVerbs
{
    public static Command Build(VerbFactory verbs) => new("token", "who may call what")
    {
        Create(verbs), List(verbs), Revoke(verbs),
    };

    private static Command Create(VerbFactory verbs)
    {
        var name = new Argument<string>("NAME") { Description = "what it is for, such as laptop" };
        var owner = new Option<string>("--owner")
        {
            Description = "whose jobs those are that it submits",
            HelpName = "OWNER",
            Required = true,
        };
        var scope = new Option<string>("--scope")
        {
            Description = "viewer, submitter, operator or admin",
            HelpName = "SCOPE",
            Required = true,
        };
        scope.AcceptOnlyFromAmong("viewer", "submitter", "operator", "admin");
        var days = new Option<int?>("--days") { Description = "it expires after so many (otherwise never)", HelpName = "DAYS" };
        var command = verbs.Verb("create", "Make a token and print it, this once.", async (context, cancellationToken) =>
        {
            var lasting = context.Arguments.GetValue(days);
            if (lasting is < 1 or > 36_500)
                throw new CliException(ExitCode.Usage, $"--days is {lasting}; give 1 to 36500");
            var request = new CreateTokenRequest
            {
                Name = context.Arguments.GetRequiredValue(name),
                Owner = context.Arguments.GetRequiredValue(owner),
                Scope = System.Enum.Parse<Scope>(context.Arguments.GetRequiredValue(scope), ignoreCase: true),
                ExpiresAt = lasting is { } given ? DateTime.UtcNow.AddDays(given).ToTimestamp() : null,
            };
            var made = await context.Connection.Tokens.CreateTokenAsync(request, context.Connection.Call(cancellationToken));
            if (context.Json)
            {
                await context.Output.DocumentAsync(made);
            }
            else
            {
                // Alone on the output, so that it goes into a file as it is.
                await context.Output.LineAsync(made.Secret);
                await context.Output.RemarkAsync(
                    $"token {Words.Short(made.Token.Id)} '{made.Token.Name}' of {made.Token.Owner}; it is not shown again");
            }

            return ExitCode.Done;
        });
        command.Arguments.Add(name);
        foreach (Option option in (Option[])[owner, scope, days])
            command.Options.Add(option);
        return command;
    }

    private static Command List(VerbFactory verbs)
    {
        var owner = new Option<string?>("--owner") { Description = "only this one's", HelpName = "OWNER" };
        var command = verbs.Table(
            "list", "List the tokens, newest first, with those that are expired or revoked.",
            (context, cancellationToken) => ListAsync(context, context.Arguments.GetValue(owner) ?? "", cancellationToken),
            (_, listed) => Table(listed.Tokens));
        command.Options.Add(owner);
        return command;
    }

    private static async Task<ListTokensResponse> ListAsync(VerbContext context, string owner, CancellationToken cancellationToken)
    {
        var all = new ListTokensResponse();
        do
        {
            var request = new ListTokensRequest { Owner = owner, PageToken = all.NextPageToken };
            var page = await context.Connection.Tokens.ListTokensAsync(request, context.Connection.Call(cancellationToken));
            all.Tokens.AddRange(page.Tokens);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0);

        return all;
    }

    private static Command Revoke(VerbFactory verbs)
    {
        var token = new Argument<string>("TOKEN") { Description = "the token's id or a unique beginning of it; never its text" };
        var command = verbs.Verb("revoke", "Have every scheduler refuse a token from now on.", async (context, cancellationToken) =>
        {
            var request = new RevokeTokenRequest { TokenId = context.Arguments.GetRequiredValue(token) };
            var revoked = (await context.Connection.Tokens.RevokeTokenAsync(request, context.Connection.Call(cancellationToken))).Token;
            if (context.Json)
                await context.Output.DocumentAsync(revoked);
            else
                await context.Output.LineAsync($"token {Words.Short(revoked.Id)} '{revoked.Name}' of {revoked.Owner} revoked");
            return ExitCode.Done;
        });
        command.Arguments.Add(token);
        return command;
    }

    private static ColumnTable Table(IEnumerable<AccessToken> tokens)
    {
        var table = new ColumnTable("TOKEN", "NAME", "OWNER", "SCOPE", "STATE", "EXPIRES", "LAST USED");
        foreach (var token in tokens)
        {
            table.Add(
                Words.Short(token.Id), token.Name, token.Owner, token.Scope.ToString().ToLowerInvariant(), State(token),
                Time(token.ExpiresAt), Time(token.LastUsedAt));
        }

        return table;
    }

    private static string State(AccessToken token) =>
        token.RevokedAt is not null ? "revoked" : token.ExpiresAt?.ToDateTime() <= DateTime.UtcNow ? "expired" : "valid";

    private static string Time(Timestamp? time) => time is null ? "" : $"{time.ToDateTime():yyyy-MM-dd HH:mm}Z";
}
