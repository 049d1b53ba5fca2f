using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Access;

/// <summary>Where the tokens come from that exist before anybody can make one, and how long is remembered what others are.</summary>
public sealed class AccessOptions
{
    public const string SectionName = "Access";

    /// <summary>
    /// File with the administrator's token on a line of its own, or two of them while one takes the other's place. It is read again now
    /// and then: a token in it works, and one that is taken out stops working, within seconds.
    /// </summary>
    [Required]
    public string AdminTokenFile { get; set; } = "";

    /// <summary>
    /// File with a token that every worker agent may present, in the same form: for trials, since whoever has it speaks for any node that
    /// has no token of its own. Empty: nodes are enrolled, each with its own.
    /// </summary>
    public string NodeTokenFile { get; set; } = "";

    /// <summary>
    /// How often tokens are read again where Postgres tells of no change. Default 10 s: so long a revoked token works at a scheduler that
    /// could not be told.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan RefreshInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a one-time code for a node can be used. Default an hour: time to go to the machine.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "30.00:00:00")]
    public TimeSpan EnrollmentDuration { get; set; } = TimeSpan.FromHours(1);
}
