using System.Threading.Channels;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Changes;
using Cluster.Scheduler.Nodes;
using Cluster.Scheduler.Persistence;
using Google.Protobuf;
using Microsoft.Extensions.Options;

namespace Cluster.Scheduler.Models;

/// <summary>Asks nodes about models, for the scheduler never sees a tensor itself.</summary>
/// <remarks>
/// One inquiry at a time, with all the questions that have gathered meanwhile: however many jobs are submitted at once, one process on one
/// node answers them. What was answered is remembered, since the same question has the same answer everywhere. People's questions have an
/// instance of their own, so that a job's forecast stands behind a few of them at most, and never behind a row of them.
/// </remarks>
internal sealed partial class ModelInquiry(
    InquirySize size, NodeStore nodes, IGrainFactory grains, JobFeed feed, IOptions<ModelInquiryOptions> options, TimeProvider time,
    ILogger<ModelInquiry> logger)
    : BackgroundService
{
    private const int NodesTried = 3;

    private readonly Lock _gate = new();
    private readonly Dictionary<ByteString, Question> _known = [];
    private readonly Queue<ByteString> _answered = new();
    private readonly Channel<Question> _open = Channel.CreateUnbounded<Question>(new UnboundedChannelOptions { SingleReader = true });

    /// <summary>Null when it takes longer than <paramref name="patience"/>; the answer is then remembered for who asks next.</summary>
    /// <exception cref="TooManyInquiriesException">As many questions are open as may be.</exception>
    public async Task<ModelFinding?> AskAsync(ModelQuery query, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            return await Enlist(query).Finding.WaitAsync(patience, time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    /// <summary>What was answered before; null: nobody has asked, or the answer is still to come.</summary>
    public ModelFinding? Known(ModelQuery query)
    {
        lock (_gate)
            return _known.TryGetValue(KeyOf(query), out var known) && known.Finding.IsCompleted ? known.Finding.Result : null;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await _open.Reader.WaitToReadAsync(stoppingToken))
            {
                var questions = new List<Question>();
                while (questions.Count < size.QuestionsAtOnce && _open.Reader.TryRead(out var question))
                    questions.Add(question);
                await AnswerAsync(questions, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The scheduler stops; who waits is told by the end of its own call.
        }
    }

    private Question Enlist(ModelQuery query)
    {
        var key = KeyOf(query);
        lock (_gate)
        {
            if (_known.TryGetValue(key, out var known))
                return known;
            if (_known.Count - _answered.Count >= size.Open)
                throw new TooManyInquiriesException($"{size.Open} questions about models wait for a node; ask again in a minute");
            var question = new Question(key, query);
            _known.Add(key, question);
            _open.Writer.TryWrite(question);
            return question;
        }
    }

    private async Task AnswerAsync(IReadOnlyList<Question> questions, CancellationToken cancellationToken)
    {
        var (why, wasAsked) = ("no node is ready; start a worker", false);
        // Before it looks, so that none is missed that registers meanwhile.
        var nextAgent = feed.NextAgent;
        try
        {
            // Those that registered last first: after a start of the scheduler it is connected with them.
            var ready = (await nodes.AllAsync(cancellationToken)).Where(node => node.State == NodeState.Ready);
            foreach (var node in ready.OrderByDescending(node => node.RegisteredAt).Take(NodesTried))
            {
                var request = new DescribeModelsRequest { Queries = { questions.Select(question => question.Query) } };
                var order = DescribeOrder.For(request, options.Value.AnswerDeadline);
                var result = await grains.GetGrain<INodeGrain>(node.Id).DescribeAsync(order);
                if (result.Read() is { Answers.Count: > 0 } response)
                {
                    Settle(questions, response.Answers, node.Name);
                    return;
                }

                wasAsked |= !result.NotConnected;
                why = $"node {node.Name} gave no answer ({result.Detail})";
                LogNoAnswer(node.Name, questions[0].Query.Model.Name, result.Detail);
            }
        }
        catch (Exception fault) when (fault is StoreUnavailableException or TimeoutException or OrleansMessageRejectionException)
        {
            why = fault.Message;
            LogFailed(fault);
        }

        foreach (var question in questions)
            Forget(question, new ModelFinding(null, why) { NextAgent = wasAsked ? null : nextAgent });
    }

    /// <summary>
    /// Answers come in order. The first that is missing is the one that ended the process; those behind it are asked again.
    /// </summary>
    private void Settle(IReadOnlyList<Question> questions, IReadOnlyList<ModelAnswer> answers, string node)
    {
        for (var i = 0; i < questions.Count; i++)
        {
            if (i < answers.Count)
                Remember(questions[i], new ModelFinding(answers[i], ""));
            else if (i == answers.Count)
                Forget(questions[i], new ModelFinding(
                    null, $"the process that was to build {questions[i].Query.Model.Name} on node {node} ended before it had"));
            else
                _open.Writer.TryWrite(questions[i]);
        }
    }

    private void Remember(Question question, ModelFinding finding)
    {
        lock (_gate)
        {
            _answered.Enqueue(question.Key);
            if (_answered.Count > size.Remembered)
                _known.Remove(_answered.Dequeue());
        }

        question.Settle(finding);
    }

    private void Forget(Question question, ModelFinding finding)
    {
        lock (_gate)
            _known.Remove(question.Key);
        question.Settle(finding);
    }

    /// <summary>Equal for equal queries: a map's own order is that in which it was filled.</summary>
    private static ByteString KeyOf(ModelQuery query)
    {
        var ordered = query.Clone();
        ordered.Model.Options.Clear();
        foreach (var (name, value) in query.Model.Options.OrderBy(option => option.Key, StringComparer.Ordinal))
            ordered.Model.Options.Add(name, value);
        return ordered.ToByteString();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Node {Node} gave no answer about model {Model}: {Detail}")]
    private partial void LogNoAnswer(string node, string model, string detail);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No node could be asked about models")]
    private partial void LogFailed(Exception fault);

    private sealed class Question(ByteString key, ModelQuery query)
    {
        private readonly TaskCompletionSource<ModelFinding> _finding = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ByteString Key => key;

        public ModelQuery Query => query;

        public Task<ModelFinding> Finding => _finding.Task;

        public void Settle(ModelFinding finding) => _finding.TrySetResult(finding);
    }
}

/// <param name="QuestionsAtOnce">That one process is asked.</param>
/// <param name="Open">That may wait for an answer.</param>
/// <param name="Remembered">Answers that are kept.</param>
internal sealed record InquirySize(int QuestionsAtOnce, int Open, int Remembered)
{
    /// <summary>Of jobs, each of which has been counted to its owner's.</summary>
    public static InquirySize Forecasts { get; } = new(32, int.MaxValue, 1000);

    /// <summary>Of people. A process with so many is done within seconds; an answer with a large network's layers takes 100 KB.</summary>
    public static InquirySize Descriptions { get; } = new(4, 64, 200);
}

/// <summary>More is asked about models than nodes can answer.</summary>
internal sealed class TooManyInquiriesException(string message) : Exception(message);

/// <param name="Answer">Null when no node could give one.</param>
/// <param name="Why">Then, in words that say what to do.</param>
internal sealed record ModelFinding(ModelAnswer? Answer, string Why)
{
    /// <summary>Where there was nobody to ask: ends when an agent has registered since. Null: one was asked.</summary>
    public Task? NextAgent { get; init; }
}
