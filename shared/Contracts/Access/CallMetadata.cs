namespace Cluster.Contracts.Access;

/// <summary>Keys of the metadata that calls carry. Lower-case, as HTTP/2 requires.</summary>
public static class CallMetadata
{
    public const string Authorization = "authorization";

    /// <summary>What stands before the token in <see cref="Authorization"/>, with its blank.</summary>
    public const string BearerPrefix = "Bearer ";

    /// <summary>The job of a trainer's call to AttemptService.</summary>
    public const string Job = "cluster-job";

    /// <summary>The attempt's number.</summary>
    public const string Attempt = "cluster-attempt";

    /// <summary>The calling rank.</summary>
    public const string Rank = "cluster-rank";

    /// <summary>The value of <see cref="Authorization"/> for a token.</summary>
    public static string Bearer(string token) => BearerPrefix + token;

    /// <summary>The token in an <see cref="Authorization"/> value, or null when it is of another kind or empty.</summary>
    public static string? TokenOf(string? authorization) =>
        authorization is not null
        && authorization.StartsWith(BearerPrefix, StringComparison.OrdinalIgnoreCase)
        && authorization.AsSpan(BearerPrefix.Length).Trim() is { IsEmpty: false } token
            ? token.ToString()
            : null;
}
