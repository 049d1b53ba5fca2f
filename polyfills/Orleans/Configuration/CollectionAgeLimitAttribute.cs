namespace Orleans;

/// <summary>Overrides <c>GrainCollectionOptions.CollectionAge</c> for one grain class; at least one minute.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = false)]
public class CollectionAgeLimitAttribute : Attribute
{
    public static readonly TimeSpan MinAgeLimit = TimeSpan.FromMinutes(1);

    private readonly TimeSpan? _inactivityPeriod;

    public CollectionAgeLimitAttribute()
    {
    }

    /// <param name="inactivityPeriod">As <see cref="TimeSpan.Parse(string)"/> reads it.</param>
    public CollectionAgeLimitAttribute(string inactivityPeriod) => _inactivityPeriod = TimeSpan.Parse(inactivityPeriod);

    public double Days { get; set; }

    public double Hours { get; set; }

    public double Minutes { get; set; }

    /// <summary>Never collect this class.</summary>
    public bool AlwaysActive { get; set; }

    public TimeSpan AgeLimit
    {
        get
        {
            if (_inactivityPeriod is { } period)
                return period;
            var sum = AlwaysActive
                ? TimeSpan.FromDays(short.MaxValue)
                : TimeSpan.FromDays(Days) + TimeSpan.FromHours(Hours) + TimeSpan.FromMinutes(Minutes);
            return sum < MinAgeLimit ? MinAgeLimit : sum;
        }
    }
}

/// <summary>Never collect this grain class.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = false)]
public class KeepAliveAttribute : Attribute;
