using System.CommandLine;

namespace Cluster.Cli.Jobs;

/// <summary>job watch ID.</summary>
internal static class WatchVerb
{
    public static Command Build(VerbFactory verbs)
    {
        var job = JobArgument.Make();
        var command = verbs.Verb("watch", "Show a job's progress until it ends; Ctrl-C leaves it running.",
            (context, cancellationToken) =>
                new JobFollower(context).FollowAsync(context.Arguments.GetRequiredValue(job), cancellationToken));
        command.Arguments.Add(job);
        return command;
    }
}

/// <summary>The argument that names a job.</summary>
internal static class JobArgument
{
    public static Argument<string> Make() => PrefixArgument.Make("JOB", "a job", "./cluster job list");
}

/// <summary>An argument that takes an id or the beginning of one.</summary>
internal static class PrefixArgument
{
    /// <param name="what">Whose id: "a job".</param>
    /// <param name="list">The verb that shows the ids.</param>
    public static Argument<string> Make(string name, string what, string list)
    {
        var argument = new Argument<string>(name) { Description = $"{what}'s id, or the first 4 characters or more of it" };
        argument.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !Contracts.IdPrefix.TryParse(token.Value, out _))
                result.AddError(Fault(name, token.Value, what, list));
        });
        return argument;
    }

    public static string Fault(string name, string value, string what, string list) =>
        $"{name} is {Rendering.Printable.OneLine(value)} but must be 4 to 32 hexadecimal digits of {what}'s id; {list} shows them";
}
