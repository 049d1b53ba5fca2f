using System.ComponentModel.DataAnnotations;

namespace Cluster.Scheduler.Access;

/// <summary>Where the tokens come from that exist before anybody can make one.</summary>
public sealed class AccessOptions
{
    public const string SectionName = "Access";

    /// <summary>File whose first line is the administrator's token; read at start.</summary>
    [Required]
    public string AdminTokenFile { get; set; } = "";

    /// <summary>File whose first line is the token that every worker agent presents; read at start.</summary>
    [Required]
    public string NodeTokenFile { get; set; } = "";

    /// <summary>
    /// How long a token's scope is remembered without asking Postgres again. Default 30 s: long enough that a call costs no query,
    /// short enough that a withdrawn token soon stops working.
    /// </summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan CacheDuration { get; set; } = TimeSpan.FromSeconds(30);
}
