using System.Linq.Expressions;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Cluster.Scheduler.Persistence;

/// <summary>What tables' mappings have in common.</summary>
internal static class ColumnMapping
{
    extension<T>(PropertyBuilder<T> property)
    {
        /// <summary>A column of JSON: messages as protobuf's own.</summary>
        public void IsJson() =>
            property.HasColumnType("jsonb").HasConversion(JsonColumn.Converter<T>(), JsonColumn.Comparer<T>());
    }

    extension<T>(EntityTypeBuilder<T> entity)
        where T : class
    {
        /// <summary>Columns that are written with the row and never again.</summary>
        public void Unchanging(params Expression<Func<T, object?>>[] properties)
        {
            foreach (var property in properties)
                entity.Property(property).Metadata.SetAfterSaveBehavior(PropertySaveBehavior.Ignore);
        }
    }
}
