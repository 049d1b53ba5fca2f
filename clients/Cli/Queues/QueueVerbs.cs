using System.CommandLine;
using Cluster.Contracts.V1;

namespace Cluster.Cli.Queues;

/// <summary>queue list|describe|create|update|delete.</summary>
internal static class QueueVerbs
{
    public static Command Build(VerbFactory verbs) => new("queue", "where jobs wait, and what is owed to each")
    {
        List(verbs), Describe(verbs), Create(verbs), Update(verbs), Delete(verbs), Accuracy(verbs),
    };

    private static Command List(VerbFactory verbs) =>
        verbs.Table("list", "List the queues.", ListAsync, (_, listed) => QueueText.Table(listed.Queues));

    private static async Task<ListQueuesResponse> ListAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var all = new ListQueuesResponse();
        do
        {
            var request = new ListQueuesRequest { PageToken = all.NextPageToken };
            var page = await context.Connection.Queues.ListQueuesAsync(request, context.Connection.Call(cancellationToken));
            all.Queues.AddRange(page.Queues);
            all.NextPageToken = page.NextPageToken;
        }
        while (all.NextPageToken.Length > 0);

        return all;
    }

    private static Command Describe(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb("describe", "Show all of one queue.", async (context, cancellationToken) =>
        {
            var request = new GetQueueRequest { Name = context.Arguments.GetRequiredValue(name) };
            var found = await context.Connection.Queues.GetQueueAsync(request, context.Connection.Call(cancellationToken));
            return await TellAsync(context, found.Queue);
        });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Create(VerbFactory verbs)
    {
        var (name, settings) = (NameArgument(), new QueueSettings());
        var command = verbs.Verb("create", "Create a queue.", async (context, cancellationToken) =>
        {
            var queue = new Queue { Name = context.Arguments.GetRequiredValue(name), Weight = 1 };
            settings.Apply(context.Arguments, queue);
            var created = await context.Connection.Queues.CreateQueueAsync(
                new CreateQueueRequest { Queue = queue }, context.Connection.Call(cancellationToken));
            return await TellAsync(context, created.Queue);
        });
        command.Arguments.Add(name);
        settings.AddTo(command);
        return command;
    }

    private static Command Update(VerbFactory verbs)
    {
        var (name, settings) = (NameArgument(), new QueueSettings());
        var command = verbs.Verb(
            "update", "Change what is given of a queue; the rest of it stays.", async (context, cancellationToken) =>
            {
                var call = context.Connection.Call(cancellationToken);
                var request = new GetQueueRequest { Name = context.Arguments.GetRequiredValue(name) };
                var queue = (await context.Connection.Queues.GetQueueAsync(request, call)).Queue.Queue;
                settings.Apply(context.Arguments, queue);
                var updated = await context.Connection.Queues.UpdateQueueAsync(new UpdateQueueRequest { Queue = queue }, call);
                return await TellAsync(context, updated.Queue);
            });
        command.Arguments.Add(name);
        settings.AddTo(command);
        return command;
    }

    private static Command Delete(VerbFactory verbs)
    {
        var name = NameArgument();
        var command = verbs.Verb("delete", "Delete a queue in which no job waits or runs.", async (context, cancellationToken) =>
        {
            var request = new DeleteQueueRequest { Name = context.Arguments.GetRequiredValue(name) };
            var answer = await context.Connection.Queues.DeleteQueueAsync(request, context.Connection.Call(cancellationToken));
            if (context.Json)
                await context.Output.DocumentAsync(answer);
            else
                await context.Output.LineAsync($"queue {request.Name} deleted");
            return ExitCode.Done;
        });
        command.Arguments.Add(name);
        return command;
    }

    private static Command Accuracy(VerbFactory verbs)
    {
        var name = new Argument<string?>("QUEUE") { Description = "only jobs that waited in it", Arity = ArgumentArity.ZeroOrOne };
        var command = verbs.Verb(
            "accuracy", "Compare expected starts with what came true, of all jobs whose first forecast is kept.",
            async (context, cancellationToken) =>
            {
                var request = new GetAccuracyRequest { Queue = context.Arguments.GetValue(name) ?? "" };
                var accuracy = await context.Connection.Queues.GetAccuracyAsync(request, context.Connection.Call(cancellationToken));
                if (context.Json)
                    await context.Output.DocumentAsync(accuracy);
                else
                    await context.Output.BlockAsync(QueueText.Describe(accuracy));
                return ExitCode.Done;
            });
        command.Arguments.Add(name);
        return command;
    }

    private static async Task<int> TellAsync(VerbContext context, QueueStatus queue)
    {
        if (context.Json)
            await context.Output.DocumentAsync(queue);
        else
            await context.Output.BlockAsync(QueueText.Describe(queue));
        return ExitCode.Done;
    }

    private static Argument<string> NameArgument() => new("QUEUE") { Description = "the queue's name" };
}
