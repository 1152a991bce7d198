-- A campaign is called what the event calls it: of a name with quotes the column had JSON's escapes, of null the word.

ALTER TABLE pathline.events_raw
    MODIFY COLUMN campaign String
        MATERIALIZED if(tupleElement(utm, 'name') != '' OR position(properties, '"campaign') = 0, tupleElement(utm, 'name'),
            multiIf(JSONType(properties, 'campaign') = 'String', JSONExtractString(properties, 'campaign'),
                    JSONType(properties, 'campaign') != 'Null', JSONExtractRaw(properties, 'campaign'),
                    JSONType(properties, 'campaign_name') = 'String', JSONExtractString(properties, 'campaign_name'),
                    JSONType(properties, 'campaign_name') != 'Null', JSONExtractRaw(properties, 'campaign_name'),
                    JSONType(properties, 'campaign_id') = 'String', JSONExtractString(properties, 'campaign_id'),
                    JSONType(properties, 'campaign_id') != 'Null', JSONExtractRaw(properties, 'campaign_id'),
                    '')) CODEC(ZSTD(1));

ALTER TABLE pathline.events_raw MATERIALIZE COLUMN campaign;
