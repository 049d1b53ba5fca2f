using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Webhooks;

/// <summary>How webhooks are delivered, and to whom.</summary>
public sealed class WebhookOptions
{
    public const string SectionName = "Webhooks";

    /// <summary>
    /// Whether addresses of private networks, of this machine and of the link may be called. False by default: whoever may submit a job
    /// may create a webhook, and could reach with it what only the scheduler reaches, a cloud's metadata for one.
    /// </summary>
    public bool AllowPrivateAddresses { get; set; }

    /// <summary>How long one try may take. Default 10 s: a receiver should note the event and answer, and work on it afterwards.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>An event is given up after so many tries. Default 10: with the delays below, after about an hour and a half.</summary>
    [Range(1, 30)]
    public int Tries { get; set; } = 10;

    /// <summary>Before the second try; it doubles with each one after that. Default 10 s: longer than a receiver's restart.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "00:10:00")]
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>The delay does not grow beyond this. Default 1 h.</summary>
    [Range(typeof(TimeSpan), "00:00:00.01", "1.00:00:00")]
    public TimeSpan LongestDelay { get; set; } = TimeSpan.FromHours(1);

    /// <summary>
    /// So many events wait for one webhook at most; beyond that the oldest are dropped, and counted. Default 10,000: an hour of a busy
    /// farm, a few megabytes.
    /// </summary>
    [Range(1, 1_000_000)]
    public int MostPending { get; set; } = 10_000;

    /// <summary>How many webhooks there may be. Default 100: each change of a job's state looks through all of them.</summary>
    [Range(1, 1000)]
    public int MostWebhooks { get; set; } = 100;
}
