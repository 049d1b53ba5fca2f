using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Models;

/// <summary>Asking nodes about models.</summary>
public sealed class ModelInquiryOptions
{
    public const string SectionName = "Models";

    /// <summary>
    /// How long a job waits to hear what memory it will take; after that it is placed without. Building a network takes a second or two, on
    /// a busy machine some more, and a node that cannot tell says so at once. More than <c>Jobs:ClaimTerm</c>, so that where the scheduler
    /// that asks ends, another still can.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:05:00")]
    public TimeSpan ForecastPatience { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>Deadline of one node's answers; within the 30 s of a grain call. The largest networks take some seconds each.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:00:28")]
    public TimeSpan AnswerDeadline { get; set; } = TimeSpan.FromSeconds(25);
}
