using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Models;

/// <summary>Asking nodes about models.</summary>
public sealed class ModelInquiryOptions
{
    public const string SectionName = "Models";

    /// <summary>
    /// How long a submit waits to hear what memory the job will take; after that it is queued without. Building a network takes a second or
    /// two, and nobody at a prompt waits gladly for more.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:20")]
    public TimeSpan SubmitPatience { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Deadline of one node's answers; within the 30 s of a grain call. The largest networks take some seconds each.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:00:28")]
    public TimeSpan AnswerDeadline { get; set; } = TimeSpan.FromSeconds(25);
}
